package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// readyTimeout is below what those who ask again and again, such as containers' health checks, allow by default.
const readyTimeout = 3 * time.Second

// Ready asks the worker that serves its state on the address whether it does its work; the error says why not.
func Ready(ctx context.Context, address string) error {
	if address == "" {
		return &Misuse{errors.New("--http: no address: give the HOST:PORT of the worker's --http, or the --config that has it")}
	}
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/readyz", nil)
	if err != nil {
		return &Misuse{fmt.Errorf("--http: %q: give HOST:PORT", address)}
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}} // by no proxy: the worker is beside this
	response, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("no worker answers: %w: start it with http: %s in worker.yaml, or name another address by --http", err, address)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1024))
	if err != nil {
		return fmt.Errorf("no worker answers: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("the worker is not ready: %s", printable(strings.TrimSpace(string(body))))
	}
	return nil
}
