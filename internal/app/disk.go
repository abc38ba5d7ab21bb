package app

import (
	"context"
	"fmt"
	"os"
	"time"
)

// Free space where the embedded server's data lies. A server that runs out of it in
// the middle of a commit tears the commit, so the worker ends before.
const (
	diskToStart = 256 << 20
	diskToRun   = 128 << 20
	diskPause   = time.Second
)

// disk watches the file system of a folder.
type disk struct {
	folder string
	free   func(folder string) (uint64, error)
}

// atLeast fails when less than so many bytes are free. Where the system does not
// tell, it never does.
func (d disk) atLeast(bytes uint64) error {
	free, err := d.free(d.folder)
	if err != nil || free >= bytes {
		return nil
	}
	return fmt.Errorf("%d MiB are free where %s lies, %d are needed: make room, or give another folder with --data", free>>20, d.folder, bytes>>20)
}

// prepare makes the folder and fails when there is too little room to start.
func (d disk) prepare() error {
	if err := os.MkdirAll(d.folder, 0o750); err != nil {
		return fmt.Errorf("data folder: %w: give another with --data", err)
	}
	return d.atLeast(diskToStart)
}

// watch calls full once, when too little is left to go on, and ends then or with
// ctx.
func (d disk) watch(ctx context.Context, full func(error)) {
	ticker := time.NewTicker(diskPause)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			if err := d.atLeast(diskToRun); err != nil {
				full(err)
				return
			}
		case <-ctx.Done():
			return
		}
	}
}
