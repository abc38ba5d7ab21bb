package bus_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"

	"github.com/visutility/retune/internal/bus"
	"github.com/visutility/retune/internal/bus/bustest"
)

// connects tells whether one gets in, and far enough to use JetStream.
func connects(t *testing.T, c bus.Connection) error {
	t.Helper()
	b, err := bus.Open(c, bustest.Settings(), bustest.Logger(t))
	if err != nil {
		return err
	}
	defer b.Close()
	return b.Provision(t.Context())
}

func TestConnectWithTLS(t *testing.T) {
	t.Parallel()
	cert, key := certificate(t)
	pair := must(tls.LoadX509KeyPair(cert, key))
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(must(os.ReadFile(cert)))
	srv := bustest.Server(t, func(o *server.Options) {
		o.TLS, o.TLSVerify, o.TLSTimeout = true, true, 5
		o.TLSConfig = &tls.Config{Certificates: []tls.Certificate{pair}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert}
	})
	if err := connects(t, bus.Connection{URL: srv.ClientURL(), TLSCA: cert, TLSCert: cert, TLSKey: key}); err != nil {
		t.Errorf("with a certificate: %v", err)
	}
	if err := connects(t, bus.Connection{URL: srv.ClientURL(), TLSCA: cert}); err == nil {
		t.Error("without a certificate of its own it got in")
	}
	if err := connects(t, bus.Connection{URL: srv.ClientURL(), TLSCert: cert, TLSKey: key}); err == nil {
		t.Error("a server that nobody vouches for was trusted")
	}
}

// certificate makes one for 127.0.0.1 that vouches for itself.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	private := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der := must(x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private))
	cert, key = filepath.Join(t.TempDir(), "cert.pem"), filepath.Join(t.TempDir(), "key.pem")
	write(t, cert, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	write(t, key, string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: must(x509.MarshalECPrivateKey(private))})))
	return cert, key
}

func TestConnectWithAnNKey(t *testing.T) {
	t.Parallel()
	user := must(nkeys.CreateUser())
	srv := bustest.Server(t, func(o *server.Options) {
		o.Nkeys = []*server.NkeyUser{{Nkey: must(user.PublicKey())}}
	})
	file := filepath.Join(t.TempDir(), "user.nk")
	write(t, file, string(must(user.Seed())))
	if err := connects(t, bus.Connection{URL: srv.ClientURL(), NKey: file}); err != nil {
		t.Error(err)
	}
	if err := connects(t, bus.Connection{URL: srv.ClientURL()}); err == nil {
		t.Error("without a key it got in")
	}
	if err := connects(t, bus.Connection{URL: srv.ClientURL(), NKey: filepath.Join(t.TempDir(), "none")}); err == nil || !strings.Contains(err.Error(), "--nkey") {
		t.Errorf("a file that is not there: %v", err)
	}
}

// TestConnectWithAContext reads what the nats CLI writes. It sets an environment
// variable, so it runs alone.
func TestConnectWithAContext(t *testing.T) {
	srv := bustest.Server(t, func(o *server.Options) { o.Username, o.Password = "retune", "s3cret" })
	home := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", home)
	dir := filepath.Join(home, "nats", "context")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "here.json"), fmt.Sprintf(`{"url":%q,"user":"retune","password":"s3cret"}`, srv.ClientURL()))
	if err := connects(t, bus.Connection{Context: "here"}); err != nil {
		t.Error(err)
	}
	if err := connects(t, bus.Connection{Context: "there"}); err == nil || !strings.Contains(err.Error(), `"there"`) {
		t.Errorf("a context that is not there: %v", err)
	}
	url := strings.Replace(srv.ClientURL(), "nats://", "nats://retune:wrong@", 1)
	if err := connects(t, bus.Connection{URL: url}); err == nil || strings.Contains(err.Error(), "wrong") {
		t.Errorf("a wrong password: %v", err)
	}
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
