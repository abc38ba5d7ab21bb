package app

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"github.com/visutility/retune/internal/bus"
	"github.com/visutility/retune/internal/bus/bustest"
	"github.com/visutility/retune/internal/wire"
)

const top = "../.."

func readDeployed(t *testing.T, file string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(top, "deploy", file))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// compose is what of docker-compose.yml matters to the tests of this package.
type compose struct {
	Services map[string]struct {
		Image string `yaml:"image"`
	} `yaml:"services"`
}

func readCompose(t *testing.T) (c compose) {
	t.Helper()
	if err := yaml.Unmarshal(readDeployed(t, "../docker-compose.yml"), &c); err != nil {
		t.Fatal(err)
	}
	return c
}

func deployedConfig(t *testing.T) Config {
	t.Helper()
	config, err := parseConfig(readDeployed(t, "worker.yaml"), func(name string) (string, bool) { return "nats://127.0.0.1:4222", name == "NATS_URL" })
	if err != nil {
		t.Fatal(err)
	}
	return config
}

// TestManifestsAreWhatAWorkerProvisions has a worker provision three servers by deploy/worker.yaml, and does it again by
// the manifests of components/nack. The servers must hold the same, and a worker find nothing to say about it.
func TestManifestsAreWhatAWorkerProvisions(t *testing.T) {
	t.Parallel()
	cluster := bustest.Cluster(t)
	_, js := bustest.Client(t, cluster.URL)
	if said := provision(t, cluster.URL); said != "" {
		t.Fatalf("provisioning says %s", said)
	}
	names := []string{"RETUNE_METRICS", "KV_retune", "KV_retune_workers"}
	provisioned := map[string]map[string]any{}
	for _, name := range names {
		provisioned[name] = fields(t, js, name)
		if err := js.DeleteStream(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range manifests[nackStream](t, "streams.yaml", "Stream") {
		if _, err := js.CreateStream(t.Context(), s.config(t)); err != nil {
			t.Fatal(err)
		}
	}
	for _, b := range manifests[nackBucket](t, "workers.yaml", "KeyValue") {
		if _, err := js.CreateKeyValue(t.Context(), b.config(t)); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range names {
		sameFields(t, name, fields(t, js, name), provisioned[name])
	}
	if said := provision(t, cluster.URL); said != "" {
		t.Errorf("on the manifests' streams provisioning says %s", said)
	}
}

// provision does as a worker with deploy/worker.yaml, and returns what it warns of.
func provision(t *testing.T, url string) (warnings string) {
	t.Helper()
	subjects, err := wire.NewSubjects("retune")
	if err != nil {
		t.Fatal(err)
	}
	said := new(bytes.Buffer)
	b, err := bus.Open(bus.Connection{Name: t.Name(), URL: url}, deployedConfig(t).settings(subjects), zerolog.New(said).Level(zerolog.WarnLevel))
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if err := b.Provision(t.Context()); err != nil {
		t.Fatal(err)
	}
	return said.String()
}

// fields are all settings of a stream, as the server has them.
func fields(t *testing.T, js jetstream.JetStream, name string) (all map[string]any) {
	t.Helper()
	stream, err := js.Stream(t.Context(), name)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	text, err := json.Marshal(stream.CachedInfo().Config)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

func sameFields(t *testing.T, name string, have, want map[string]any) {
	t.Helper()
	for field, value := range want {
		if !reflect.DeepEqual(have[field], value) {
			t.Errorf("%s: %s is %v by the manifest, %v by a worker", name, field, have[field], value)
		}
	}
	for field, value := range have {
		if _, known := want[field]; !known {
			t.Errorf("%s: %s is %v by the manifest, not set by a worker", name, field, value)
		}
	}
}

// TestCopiesOfDeployedFiles: kustomize and Helm do not read files of other folders, so there are copies.
func TestCopiesOfDeployedFiles(t *testing.T) {
	t.Parallel()
	if !bytes.Equal(readDeployed(t, "worker.yaml"), readDeployed(t, "kubernetes/base/worker.yaml")) {
		t.Error("deploy/kubernetes/base/worker.yaml is not deploy/worker.yaml: copy it")
	}
	var values struct {
		Config struct {
			Jetstream struct {
				FileStore struct {
					MaxSize string `yaml:"maxSize"`
				} `yaml:"fileStore"`
				MemoryStore struct {
					MaxSize string `yaml:"maxSize"`
				} `yaml:"memoryStore"`
				Merge struct {
					SyncInterval string `yaml:"sync_interval"`
				}
			}
		}
		Container struct{ Image struct{ Tag string } }
	}
	if err := yaml.Unmarshal(readDeployed(t, "kubernetes/overlays/nats-cluster/values.yaml"), &values); err != nil {
		t.Fatal(err)
	}
	nats, js := string(readDeployed(t, "nats.conf")), values.Config.Jetstream
	for _, want := range []string{"max_file_store: " + js.FileStore.MaxSize, "max_memory_store: " + js.MemoryStore.MaxSize, "sync_interval: " + js.Merge.SyncInterval} {
		if !strings.Contains(nats, "\n  "+want+"\n") {
			t.Errorf("values.yaml has %s, deploy/nats.conf has not", want)
		}
	}
	if image := readCompose(t).Services["nats-1"].Image; image != "nats:"+values.Container.Image.Tag {
		t.Errorf("values.yaml has nats:%s, docker-compose.yml %s", values.Container.Image.Tag, image)
	}
}

// TestScaledObject: workers beyond the partitions have no work.
func TestScaledObject(t *testing.T) {
	t.Parallel()
	var scaled struct {
		Spec struct {
			Max      int `yaml:"maxReplicaCount"`
			Triggers []struct{ Metadata struct{ Query string } }
		}
	}
	if err := yaml.Unmarshal(readDeployed(t, "kubernetes/components/keda/scaledobject.yaml"), &scaled); err != nil {
		t.Fatal(err)
	}
	if partitions := deployedConfig(t).Partitions; scaled.Spec.Max != partitions {
		t.Errorf("maxReplicaCount is %d, partitions are %d", scaled.Spec.Max, partitions)
	}
	if query := scaled.Spec.Triggers[0].Metadata.Query; !strings.HasPrefix(query, "sum(retune_partition_lag_inputs{") {
		t.Errorf("query %s", query)
	}
}
