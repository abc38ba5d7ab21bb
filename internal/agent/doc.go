// Package agent evaluates trials by running a program: it fills in the command line, reads metrics from what the
// program prints, and sees to it that the program and all it started end.
package agent
