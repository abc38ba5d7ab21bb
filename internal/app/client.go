package app

import (
	"cmp"
	"fmt"

	"github.com/rs/zerolog"

	"github.com/visutility/retune/internal/bus"
	"github.com/visutility/retune/internal/wire"
)

// Globals are what all commands have in common.
type Globals struct {
	ConfigFile string         // worker.yaml; "": the built-in defaults
	Prefix     string         // of all subjects; default retune
	NATS       bus.Connection // from flags and environment; goes before worker.yaml
	Log        zerolog.Logger
	Version    string // of the program
}

// Misuse marks what the user has to correct: a flag, or a mistake in a file. The
// process exits with 2.
type Misuse struct{ Err error }

func (m *Misuse) Error() string { return m.Err.Error() }

func (m *Misuse) Unwrap() error { return m.Err }

// Config reads worker.yaml and fills in the defaults. A mistake in it is a *Misuse
// that names file, line and remedy; so is an address in the flags that is none.
func (g Globals) Config() (Config, error) {
	if err := bus.CheckAddresses(g.NATS.URL); err != nil {
		return Config{}, &Misuse{fmt.Errorf("--nats (or NATS_URL): %w", err)}
	}
	if g.ConfigFile == "" {
		return Config{}.WithDefaults(), nil
	}
	return LoadConfig(g.ConfigFile)
}

// Connect joins the NATS that runs already, at 127.0.0.1:4222 unless flags,
// environment or worker.yaml name another. Streams are neither made nor checked.
func Connect(g Globals) (*bus.Bus, error) {
	config, err := g.Config()
	if err != nil {
		return nil, err
	}
	return g.open(config, g.connection(config))
}

func (g Globals) open(config Config, to bus.Connection) (*bus.Bus, error) {
	subjects, err := wire.NewSubjects(cmp.Or(g.Prefix, "retune"))
	if err != nil {
		return nil, &Misuse{err}
	}
	return bus.Open(to, config.settings(subjects), g.Log)
}

// connection completes what flags and environment say by worker.yaml. An address
// of either kind in the flags replaces both kinds in the file.
func (g Globals) connection(config Config) bus.Connection {
	c, file := g.NATS, config.NATS
	if c.URL == "" && c.Context == "" {
		c.URL, c.Context = file.URL, file.Context
	}
	c.Name = cmp.Or(c.Name, "retune")
	c.Creds = cmp.Or(c.Creds, file.Creds)
	c.NKey = cmp.Or(c.NKey, file.NKey)
	c.TLSCA = cmp.Or(c.TLSCA, file.TLS.CA)
	c.TLSCert = cmp.Or(c.TLSCert, file.TLS.Cert)
	c.TLSKey = cmp.Or(c.TLSKey, file.TLS.Key)
	return c
}
