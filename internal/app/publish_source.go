package app

import (
	"bufio"
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// line is one report as a file gives it.
type line struct {
	number int      // from 1
	body   []byte   // JSON, not yet checked
	err    error    // why there is no body
	notes  []string // what was found here, and holds for the lines to come
}

// source gives lines until io.EOF. A line that cannot be read is a line with an
// error; an error of next ends the source.
type source interface{ next() (line, error) }

// readLines reads in a goroutine of its own: standard input cannot be interrupted. Why there are no more lines comes
// once all are taken.
func readLines(ctx context.Context, from source) (<-chan line, <-chan error) {
	lines, failed := make(chan line, 64), make(chan error, 1)
	go func() {
		for {
			l, err := from.next()
			if err != nil {
				failed <- err
				close(lines)
				return
			}
			select {
			case lines <- l:
			case <-ctx.Done():
				return
			}
		}
	}()
	return lines, failed
}

// input is an opened file.
type input struct {
	io.Reader
	name  string // for messages, and without .gz for its kind
	size  int64  // bytes as stored; -1: unknown
	close func() error
}

func (i *input) Close() error { return i.close() }

func openInput(path string, stdin io.Reader) (*input, error) {
	if path == "" || path == "-" {
		return &input{stdin, "standard input", -1, func() error { return nil }}, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	in := &input{f, path, -1, f.Close}
	if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
		in.size = info.Size()
	}
	return in, nil
}

// newSource tells JSON Lines from CSV by the name, else by the first character:
// JSON objects begin with a brace. longest bounds a line of JSON, in bytes.
func newSource(r io.Reader, name string, longest int) (source, error) {
	buffered := bufio.NewReaderSize(r, 64<<10)
	if magic, _ := buffered.Peek(2); bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		z, err := gzip.NewReader(buffered)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		buffered = bufio.NewReaderSize(z, 64<<10)
	}
	if bom, _ := buffered.Peek(3); bytes.Equal(bom, []byte("\xef\xbb\xbf")) {
		_, _ = buffered.Discard(3)
	}
	if isCSV(name, buffered) {
		rows, err := newCSV(buffered)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		return rows, nil
	}
	return &jsonLines{r: buffered, name: name, longest: longest}, nil
}

func isCSV(name string, r *bufio.Reader) bool {
	switch filepath.Ext(strings.TrimSuffix(name, ".gz")) {
	case ".csv":
		return true
	case ".jsonl", ".ndjson", ".json":
		return false
	}
	for n := 1; n <= r.Size(); n++ {
		begin, err := r.Peek(n)
		if err != nil {
			return false
		}
		if c := begin[n-1]; c > ' ' {
			return c != '{'
		}
	}
	return false
}

// jsonLines reads one JSON object a line. Empty lines are passed over.
type jsonLines struct {
	r       *bufio.Reader
	name    string
	longest int
	number  int
}

func (j *jsonLines) next() (line, error) {
	for {
		body, err := j.read()
		if err != nil && !errors.Is(err, errLong) {
			return line{}, err
		}
		j.number++
		if body = bytes.TrimSpace(body); err != nil || len(body) > 0 {
			return line{number: j.number, body: body, err: err}, nil
		}
	}
}

var errLong = errors.New("is longer than the server takes (max_payload)")

// read returns a copy of the next line, or errLong and leaves it out.
func (j *jsonLines) read() ([]byte, error) {
	var body []byte
	for long := false; ; {
		part, err := j.r.ReadSlice('\n')
		if long = long || len(body)+len(part) > j.longest; !long {
			body = append(body, part...)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
		case err != nil && (!errors.Is(err, io.EOF) || len(body) == 0 && !long):
			return nil, j.named(err)
		case long:
			return nil, errLong
		default:
			return body, nil
		}
	}
}

func (j *jsonLines) named(err error) error {
	if errors.Is(err, io.EOF) {
		return io.EOF
	}
	return fmt.Errorf("%s after line %d: %w", cmp.Or(j.name, "input"), j.number, err)
}
