package bus

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
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
			if bad := (*url.Error)(nil); errors.As(err, &bad) { // which has the address with its password
				err = errAddress
			}
			return nil, fmt.Errorf("context %q: %w: `nats context ls` lists yours", c.Context, err)
		}
		return nc, nil
	}
	address := cmp.Or(c.URL, nats.DefaultURL)
	if _, err := parseAddresses(address); err != nil {
		return nil, fmt.Errorf("connect to NATS: %w", err)
	}
	nc, err := nats.Connect(address, opts...)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w: %s", redact(address), err, remedy(err))
	}
	return nc, nil
}

// remedy says what mends a connection that was refused.
func remedy(err error) string {
	var name x509.HostnameError
	var authority x509.UnknownAuthorityError
	switch {
	case errors.As(err, &authority):
		return "give the certificate of the authority that signed the server's with --tls-ca"
	case errors.As(err, &name):
		return "give an address that the server's certificate has with --nats, or the server another certificate"
	case strings.Contains(err.Error(), "after TLS handshake"), strings.Contains(err.Error(), "remote error: tls"):
		return "the server wants a certificate that it trusts: give one with --tls-cert and --tls-key"
	case errors.Is(err, nats.ErrSecureConnWanted), errors.Is(err, nats.ErrSecureConnRequired):
		return "the server has no TLS: leave out --tls-ca, --tls-cert and --tls-key, or switch TLS on in the server"
	case strings.Contains(err.Error(), "key pair from file"):
		return "give a file that holds a JWT and its seed with --creds"
	case errors.Is(err, nats.ErrAuthorization):
		return "give credentials that the server knows: --nats nats://USER:PASSWORD@HOST:4222, --creds, --nkey or --context"
	}
	return "is NATS running there? Give another address with --nats"
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
				log.Warn().Err(err).Msg("NATS refuses: see docs/security.md")
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
	if err := c.checkFiles(); err != nil {
		return nil, err
	}
	if c.TLSCA != "" {
		opts = append(opts, nats.RootCAs(c.TLSCA))
	}
	if c.TLSCert != "" || c.TLSKey != "" {
		opts = append(opts, nats.ClientCert(c.TLSCert, c.TLSKey))
	}
	return opts, nil
}

// checkFiles names the flag of a file that is of no use.
func (c Connection) checkFiles() error {
	if c.Creds != "" {
		if _, err := os.ReadFile(c.Creds); err != nil {
			return fmt.Errorf("--creds: %w: give a file that holds a JWT and its seed", err)
		}
	}
	if c.TLSCA != "" {
		text, err := os.ReadFile(c.TLSCA)
		if err != nil {
			return fmt.Errorf("--tls-ca: %w: give a file with the certificates to trust", err)
		}
		if !x509.NewCertPool().AppendCertsFromPEM(text) {
			return fmt.Errorf("--tls-ca %q: has no certificate: give a file in PEM with those to trust", c.TLSCA)
		}
	}
	if c.TLSCert == "" && c.TLSKey == "" {
		return nil
	}
	if c.TLSCert == "" || c.TLSKey == "" {
		return errors.New("--tls-cert and --tls-key go together: give both")
	}
	if _, err := tls.LoadX509KeyPair(c.TLSCert, c.TLSKey); err != nil {
		return fmt.Errorf("--tls-cert %q and --tls-key %q: %w: give a certificate and its key, in PEM", c.TLSCert, c.TLSKey, err)
	}
	return nil
}
