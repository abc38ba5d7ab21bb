package bus

import (
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/rs/zerolog"
	"github.com/synadia-io/orbit.go/natscontext"
)

// Connection says which NATS to join and as whom. The zero value is
// nats://127.0.0.1:4222 without credentials.
type Connection struct {
	Name    string // shown to the server's operator
	URL     string // one or more, separated by commas
	Context string // a context of the nats CLI, under ~/.config/nats/context
	Creds   string // file with JWT and seed
	NKey    string // file with an NKey seed
	TLSCA   string // file with the certificates to trust
	TLSCert string // file with the client's certificate
	TLSKey  string // file with its key
}

func connect(c Connection, log zerolog.Logger, reconnected func()) (*nats.Conn, error) {
	opts, err := c.options(log, reconnected)
	if err != nil {
		return nil, err
	}
	if c.Context != "" {
		nc, _, err := natscontext.Connect(c.Context, opts...)
		if err != nil {
			return nil, fmt.Errorf("context %q: %w: `nats context ls` lists yours", c.Context, err)
		}
		return nc, nil
	}
	url := c.URL
	if url == "" {
		url = nats.DefaultURL
	}
	nc, err := nats.Connect(url, opts...)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w: is NATS running there? Give another address with --nats", redact(url), err)
	}
	return nc, nil
}

func (c Connection) options(log zerolog.Logger, reconnected func()) ([]nats.Option, error) {
	opts := []nats.Option{
		nats.Name(c.Name),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(250 * time.Millisecond),
		nats.ReconnectJitter(100*time.Millisecond, 500*time.Millisecond),
		// Half a batch kept for later is of no use: fail at once instead.
		nats.ReconnectBufSize(-1),
		nats.PingInterval(10 * time.Second),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				log.Warn().Err(err).Msg("connection to NATS lost")
			}
		}),
		nats.ReconnectHandler(func(nc *nats.Conn) {
			reconnected()
			log.Info().Str("server", nc.ConnectedUrlRedacted()).Msg("connected to NATS again")
		}),
		nats.ErrorHandler(func(_ *nats.Conn, sub *nats.Subscription, err error) {
			if errors.Is(err, nats.ErrSlowConsumer) && sub != nil {
				log.Warn().Str("subject", sub.Subject).Msg("slow consumer")
				return
			}
			if errors.Is(err, nats.ErrPermissionViolation) {
				log.Warn().Err(err).Msg("NATS refuses: see Permissions in docs/operations.md")
				return
			}
			log.Debug().Err(err).Msg("NATS")
		}),
	}
	if c.Creds != "" {
		opts = append(opts, nats.UserCredentials(c.Creds))
	}
	if c.NKey != "" {
		opt, err := nats.NkeyOptionFromSeed(c.NKey)
		if err != nil {
			return nil, fmt.Errorf("--nkey %q: %w: give a file that holds an NKey seed", c.NKey, err)
		}
		opts = append(opts, opt)
	}
	if c.TLSCA != "" {
		opts = append(opts, nats.RootCAs(c.TLSCA))
	}
	if c.TLSCert != "" || c.TLSKey != "" {
		opts = append(opts, nats.ClientCert(c.TLSCert, c.TLSKey))
	}
	return opts, nil
}
