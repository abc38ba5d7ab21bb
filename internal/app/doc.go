// Package app puts the parts of retune together, starts them, and stops them in
// reverse order; the commands of the binary are plain functions here.
package app
