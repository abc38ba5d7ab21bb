package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// authority signs certificates, into files.
type authority struct {
	t      *testing.T
	folder string
	cert   *x509.Certificate
	key    *ecdsa.PrivateKey
	file   string // its own certificate
}

func newAuthority(t *testing.T, name string) *authority {
	t.Helper()
	a := &authority{t: t, folder: t.TempDir()}
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	a.file, _, a.cert, a.key = a.issue(name, template)
	return a
}

// sign makes a certificate for 127.0.0.1, for a server or a client.
func (a *authority) sign(name string, usage x509.ExtKeyUsage) (cert, key string) {
	a.t.Helper()
	cert, key, _, _ = a.issue(name, &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{usage}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	})
	return cert, key
}

// issue signs with the authority's key, or, before it has one, with the certificate's own.
func (a *authority) issue(name string, template *x509.Certificate) (certFile, keyFile string, cert *x509.Certificate, key *ecdsa.PrivateKey) {
	a.t.Helper()
	fail := func(err error) {
		if err != nil {
			a.t.Fatal(err)
		}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	fail(err)
	template.SerialNumber, template.NotBefore, template.NotAfter = big.NewInt(time.Now().UnixNano()), time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	fail(err)
	cert, err = x509.ParseCertificate(der)
	fail(err)
	private, err := x509.MarshalECPrivateKey(key)
	fail(err)
	certFile, keyFile = filepath.Join(a.folder, name+".pem"), filepath.Join(a.folder, name+".key")
	fail(os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	fail(os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: private}), 0o600))
	return certFile, keyFile, cert, key
}

// tlsServer wants certificates of its clients, as docs/security.md says.
func tlsServer(t *testing.T, a *authority) (address string) {
	t.Helper()
	cert, key := a.sign("server", x509.ExtKeyUsageServerAuth)
	file := filepath.Join(t.TempDir(), "nats.conf")
	text := "listen: \"127.0.0.1:-1\"\njetstream {store_dir: \"" + t.TempDir() + "\"}\n" +
		"tls {cert_file: \"" + cert + "\", key_file: \"" + key + "\", ca_file: \"" + a.file + "\", verify: true}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	o, err := server.ProcessConfigFile(file)
	if err != nil {
		t.Fatal(err)
	}
	o.NoSigs, o.NoLog = true, true
	s, err := server.NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	go s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(20 * time.Second) {
		t.Fatal("the server did not start")
	}
	return s.Addr().String()
}

// TestMutualTLS has a worker and a trainer show certificates, and others refused, who are told what to do.
func TestMutualTLS(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	a, stranger := newAuthority(t, "authority"), newAuthority(t, "stranger")
	address := tlsServer(t, a)
	cert, key := a.sign("client", x509.ExtKeyUsageClientAuth)
	flags := []string{"--nats", "tls://" + address, "--tls-ca", a.file, "--tls-cert", cert, "--tls-key", key}
	config := write(t, fmt.Sprintf(guardedConfig, 1))
	w := newWorker(t, "worker", "", config)
	bin := workerBinary(t)
	w.build = func() *exec.Cmd {
		return exec.Command(bin, append([]string{"run", "--config", config, "--log-format", "json"}, flags...)...)
	}
	w.start()
	waitForLog(t, w.log, "ready for reports")
	run := func(stdin string, args ...string) (string, error) {
		cmd := exec.Command(bin, args...)
		cmd.Stdin = strings.NewReader(stdin)
		output, err := cmd.CombinedOutput()
		return string(output), err
	}
	report := `{"metrics": {"loss": 0.5}, "config": {"lr": 0.1}}`
	if output, err := run(report, append([]string{"publish", "--model", "m"}, flags...)...); err != nil {
		t.Fatalf("publish: %v\n%s", err, output)
	}
	if output, err := run("", append([]string{"watch", "configs", "--since", "all", "--count", "1"}, flags...)...); err != nil || !strings.Contains(output, "live") {
		t.Fatalf("watch: %v\n%s", err, output)
	}
	strangeCert, strangeKey := stranger.sign("client", x509.ExtKeyUsageClientAuth)
	for _, c := range []struct {
		name   string
		flags  []string
		remedy string
	}{
		{"no authority", []string{"--tls-cert", cert, "--tls-key", key}, "--tls-ca"},
		{"another authority", []string{"--tls-ca", stranger.file, "--tls-cert", cert, "--tls-key", key}, "--tls-ca"},
		{"no certificate", []string{"--tls-ca", a.file}, "--tls-cert and --tls-key"},
		{"a certificate of another authority", []string{"--tls-ca", a.file, "--tls-cert", strangeCert, "--tls-key", strangeKey}, "--tls-cert and --tls-key"},
		{"a file that is not there", []string{"--tls-ca", "/none.pem"}, "/none.pem"},
		{"a key without a certificate", []string{"--tls-ca", a.file, "--tls-key", key}, "--tls-cert"},
	} {
		output, err := run("", append([]string{"study", "list", "--nats", "tls://" + address}, c.flags...)...)
		if err == nil || !strings.Contains(output, c.remedy) || strings.Contains(output, "is NATS running there?") {
			t.Errorf("%s: %v\n%s", c.name, err, output)
		}
		t.Logf("%s: %s", c.name, output)
	}
	w.terminate()
}

// waitForLog waits until the process has logged the text.
func waitForLog(t *testing.T, file, text string) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if log, _ := os.ReadFile(file); strings.Contains(string(log), text) {
			return
		}
	}
	log, _ := os.ReadFile(file)
	t.Fatalf("%q is not logged:\n%s", text, log)
}
