package app

import (
	"errors"
	"net"
	"strings"
	"testing"
)

func TestReadyAsksTheWorker(t *testing.T) {
	t.Parallel()
	a, err := startAdmin("0.0.0.0:0", newRegistry("test"), func(err error) { t.Error(err) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.close)
	_, port, err := net.SplitHostPort(a.listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	address := "0.0.0.0:" + port // as deploy/worker.yaml has it
	if err := Ready(t.Context(), address); err == nil || err.Error() != "the worker is not ready: starting" {
		t.Errorf("while it starts: %v", err)
	}
	a.setReady(func() error { return nil })
	if err := Ready(t.Context(), address); err != nil {
		t.Error(err)
	}
	a.close()
	if err := Ready(t.Context(), address); err == nil || !strings.Contains(err.Error(), "no worker answers") {
		t.Errorf("after its end: %v", err)
	}
	for _, wrong := range []string{"", "host name:1"} {
		misuse := (*Misuse)(nil)
		if err := Ready(t.Context(), wrong); !errors.As(err, &misuse) || !strings.Contains(err.Error(), "HOST:PORT") {
			t.Errorf("%q: %v", wrong, err)
		}
	}
}
