// Package coordinator is the loop of one worker: it reads the partitions it owns,
// applies each input to its model and commits what follows, exactly once.
//
// What an input does to a model is decided in decide.go, command.go and trial.go,
// which know no NATS, no clock and no goroutine; partition.go reads, loads and
// commits around them; worker.go keeps as many partitions running as are ours.
package coordinator
