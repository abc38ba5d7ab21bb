package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// columns of samples.csv, in order.
var columns = []string{
	"seconds", "published", "studies", "inputs", "lag", "worker_heap_bytes", "worker_goroutines", "worker_rss_bytes", "server_rss_bytes",
	"input_messages", "input_bytes", "bucket_messages", "bucket_bytes", "consumers",
}

const lagMetric = "retune_partition_lag_inputs"

// sample is one row, in the order of columns.
type sample []float64

// watch samples until ctx ends, into samples.csv as it goes.
func (s *site) watch(ctx context.Context, o options, l *load) (all []sample, err error) {
	file, err := os.Create(filepath.Join(o.out, "samples.csv"))
	if err != nil {
		return nil, fmt.Errorf("samples: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	fmt.Fprintln(file, strings.Join(columns, ","))
	began := time.Now()
	tick := time.NewTicker(o.every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return all, nil
		case err := <-s.ended:
			return all, fmt.Errorf("the worker has ended (%w): see worker.log", errors.Join(errors.New("nobody asked it to"), err))
		case <-tick.C:
		}
		row, err := s.sample(ctx, time.Since(began), l)
		if ctx.Err() != nil {
			return all, nil
		}
		if err != nil {
			return all, err
		}
		all = append(all, row)
		for i, v := range row {
			if i > 0 {
				fmt.Fprint(file, ",")
			}
			fmt.Fprint(file, strconv.FormatFloat(v, 'f', -1, 64))
		}
		fmt.Fprintln(file)
	}
}

func (s *site) sample(ctx context.Context, at time.Duration, l *load) (sample, error) {
	body, err := get(ctx, s.http+"/metrics")
	if err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	workerRSS, err := rss(s.worker.Process.Pid)
	if err != nil {
		return nil, err
	}
	serverRSS, err := rss(s.server.Process.Pid)
	if err != nil {
		return nil, err
	}
	row := sample{at.Seconds(), float64(l.published.Load()), float64(l.studies.Load())}
	for _, name := range []string{"retune_inputs_applied_total", lagMetric, "go_memstats_heap_alloc_bytes", "go_goroutines"} {
		v, ok := metric(body, name)
		if !ok {
			return nil, fmt.Errorf("the worker has no metric %s", name)
		}
		row = append(row, v)
	}
	row = append(row, workerRSS, serverRSS)
	consumers := 0
	for _, name := range []string{"RETUNE_METRICS", "KV_retune"} {
		stream, err := s.js.Stream(ctx, name)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		state := stream.CachedInfo().State
		row = append(row, float64(state.Msgs), float64(state.Bytes))
		consumers += state.Consumers
	}
	return append(row, float64(consumers)), nil
}

// metric is the sum of all series of that name; ok if there is one.
func metric(body []byte, name string) (sum float64, ok bool) {
	for lines := bufio.NewScanner(bytes.NewReader(body)); lines.Scan(); {
		line := lines.Text()
		rest, named := strings.CutPrefix(line, name)
		if !named || rest == "" || rest[0] != ' ' && rest[0] != '{' {
			continue
		}
		v, err := strconv.ParseFloat(line[strings.LastIndexByte(line, ' ')+1:], 64)
		if err == nil {
			sum, ok = sum+v, true
		}
	}
	return sum, ok
}

func get(ctx context.Context, url string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return nil, errors.New(response.Status)
	}
	return io.ReadAll(response.Body)
}

// rss is the resident memory of a process in bytes, of Linux; elsewhere 0.
func rss(pid int) (float64, error) {
	body, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("memory of %d: %w", pid, err)
	}
	fields := strings.Fields(string(body))
	pages, err := strconv.ParseFloat(fields[1], 64)
	return pages * float64(os.Getpagesize()), err
}
