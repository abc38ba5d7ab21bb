// Package wire holds what crosses the process boundary: the subjects, keys and messages of the contract, and
// their msgpack and JSON forms.
package wire
