package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// admin serves /healthz (200 while the process lives), /readyz (200 once it works,
// else 503 and why not), /metrics, and to this machine only the profiles of
// /debug/pprof/: one takes processor time, and the address is often open to others.
type admin struct {
	server   http.Server
	listener net.Listener
	ready    atomic.Pointer[func() error]
}

// startAdmin listens on host:port. failed is told if serving ends by itself.
func startAdmin(address string, metrics prometheus.Gatherer, failed func(error)) (*admin, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("http: %w: give another address with --http", err)
	}
	a := &admin{listener: listener}
	a.setReady(func() error { return errors.New("starting") })
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", a.serveReady)
	mux.Handle("GET /metrics", promhttp.HandlerFor(metrics, promhttp.HandlerOpts{}))
	mux.Handle("/debug/pprof/", local(profiles()))
	a.server = http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute}
	go func() {
		if err := a.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			failed(fmt.Errorf("http: %w", err))
		}
	}()
	return a, nil
}

func profiles() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index) // and the profiles it lists
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	return mux
}

// local refuses those who come from another machine.
func local(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, _ := net.SplitHostPort(r.RemoteAddr)
		if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
			http.Error(w, "profiles are for the machine of the worker only: connect to it and use 127.0.0.1", http.StatusForbidden)
			return
		}
		h.ServeHTTP(w, r)
	})
}

func (a *admin) url() string { return "http://" + a.listener.Addr().String() }

func (a *admin) setReady(ready func() error) { a.ready.Store(&ready) }

func (a *admin) serveReady(w http.ResponseWriter, _ *http.Request) {
	if err := (*a.ready.Load())(); err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "ok")
}

// close lets answers finish for a second.
func (a *admin) close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if a.server.Shutdown(ctx) != nil {
		_ = a.server.Close()
	}
}
