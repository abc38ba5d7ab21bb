// Package e2e has the tests that run the built worker as real processes, kill
// them, and compare what was said with what an undisturbed worker says.
package e2e
