package app

import (
	"fmt"
	"os"
)

// checkAlone refuses what an embedded server has no use for, where no other NATS is
// named: whoever gives credentials means a server of theirs.
func (o WorkerOptions) checkAlone() error {
	if to := o.connection(o.Config); to.URL != "" || to.Context != "" {
		return nil
	}
	flags, file := o.NATS, o.Config.NATS
	for _, c := range []struct{ flag, given, field, written string }{
		{"--creds", flags.Creds, "nats.creds", file.Creds},
		{"--nkey", flags.NKey, "nats.nkey", file.NKey},
		{"--tls-ca", flags.TLSCA, "nats.tls.ca", file.TLS.CA},
		{"--tls-cert", flags.TLSCert, "nats.tls.cert", file.TLS.Cert},
		{"--tls-key", flags.TLSKey, "nats.tls.key", file.TLS.Key},
	} {
		if c.given != "" {
			return &Misuse{fmt.Errorf("%s: %q is for a NATS that no address is given of: add --nats URL, or leave it out for a server of the worker's own", c.flag, c.given)}
		}
		if c.written != "" {
			return o.inConfig(fmt.Errorf("%s: %q is for a NATS that no address is given of: add nats.url or --nats URL, or leave it out for a server of the worker's own", c.field, c.written))
		}
	}
	if o.Config.Replicas > 1 {
		return o.inConfig(fmt.Errorf("replicas: %d need a cluster: add nats.url or --nats URL, or leave replicas out", o.Config.Replicas))
	}
	return nil
}

// inConfig gives a mistake in worker.yaml that shows only beside the flags, `path:
// problem`, its file and line.
func (g Globals) inConfig(err error) error {
	if g.ConfigFile == "" {
		return &Misuse{err}
	}
	body, _ := os.ReadFile(g.ConfigFile)
	root, _ := parseYAML(body) // if it has changed since, the mistake has no line
	return &Misuse{inFile(g.ConfigFile, located(root, err))}
}
