package app

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestReadyzSaysWhyNot(t *testing.T) {
	t.Parallel()
	a, err := startAdmin("127.0.0.1:0", newRegistry("test"), func(err error) { t.Error(err) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.close)
	if status, body := get(t, a.url()+"/readyz"); status != http.StatusServiceUnavailable || body != "starting\n" {
		t.Errorf("%d %q", status, body)
	}
	a.setReady(func() error { return nil })
	if status, _ := get(t, a.url()+"/readyz"); status != http.StatusOK {
		t.Errorf("%d", status)
	}
	if _, err := startAdmin(a.listener.Addr().String(), newRegistry("test"), nil); err == nil || !strings.Contains(err.Error(), "--http") {
		t.Errorf("taken address: %v", err)
	}
}

func get(t *testing.T, url string) (status int, body string) {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	r, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	all, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, string(all)
}

// awaitReady asks until all partitions are open.
func awaitReady(t *testing.T, url string) {
	t.Helper()
	why := ""
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		status, body := get(t, url+"/readyz")
		if status == http.StatusOK {
			return
		}
		why = body
	}
	t.Fatalf("not ready: %s", why)
}

func awaitMetric(t *testing.T, url, line string) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		if _, metrics := get(t, url+"/metrics"); strings.Contains(metrics, "\n"+line+"\n") {
			return
		}
	}
	t.Fatalf("never %s", line)
}
