// Package agent runs programs, and sees to it that each and all it started end. To evaluate trials it fills in the
// command line and reads metrics from what the program prints.
package agent
