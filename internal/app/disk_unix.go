//go:build linux || darwin || freebsd

package app

import "golang.org/x/sys/unix"

// freeBytes is what a process without privileges may still write where folder lies.
func freeBytes(folder string) (uint64, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(folder, &s); err != nil {
		return 0, err
	}
	return uint64(max(0, int64(s.Bavail))) * uint64(s.Bsize), nil
}
