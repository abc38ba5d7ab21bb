package app

import (
	"bufio"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
)

const repository = "../.."

// exposed are the metrics that a worker with its own server and a sink serves.
type exposed struct {
	text   string
	types  map[string]string
	labels map[string][]string // of the own metrics, sorted; le aside
}

var series = regexp.MustCompile(`^([a-z_:0-9]+)(?:\{(.*)\})? \S+$`)

func scrape(t *testing.T, url string) exposed {
	t.Helper()
	_, text := get(t, url+"/metrics")
	e := exposed{text: text, types: map[string]string{}, labels: map[string][]string{}}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if rest, ok := strings.CutPrefix(line, "# TYPE "); ok {
			name, kind, _ := strings.Cut(rest, " ")
			e.types[name] = kind
			continue
		}
		m := series.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		for _, pair := range regexp.MustCompile(`([a-z_]+)="`).FindAllStringSubmatch(m[2], -1) {
			if name := e.family(m[1]); pair[1] != "le" && !slices.Contains(e.labels[name], pair[1]) {
				e.labels[name] = append(e.labels[name], pair[1])
				slices.Sort(e.labels[name])
			}
		}
	}
	return e
}

// family is the metric of a series: those of a histogram have endings.
func (e exposed) family(series string) string {
	for _, ending := range []string{"_bucket", "_sum", "_count"} {
		if base, ok := strings.CutSuffix(series, ending); ok && e.types[base] == "histogram" {
			return base
		}
	}
	return series
}

func (e exposed) own() []string {
	return slices.Sorted(func(yield func(string) bool) {
		for name := range maps.Keys(e.types) {
			if strings.HasPrefix(name, "retune_") && !yield(name) {
				return
			}
		}
	})
}

// value is that of the series, as it stands in the text; "": there is none.
func (e exposed) value(series string) string {
	for line := range strings.Lines(e.text) {
		if rest, ok := strings.CutPrefix(line, series+" "); ok {
			return strings.TrimSpace(rest)
		}
	}
	return ""
}

func startExposed(t *testing.T) exposed {
	t.Helper()
	o := testOptions(t)
	o.HTTP, o.Config.Sinks = "127.0.0.1:0", []Sink{{Type: "log"}}
	at, _ := startWorker(t, o)
	awaitReady(t, at.HTTP)
	awaitMetric(t, at.HTTP, `retune_partition_lag_inputs{partition="3"} 0`) // asked for 5 s after the start
	answered(t, at.NATS, "m")
	return scrape(t, at.HTTP)
}

// TestMetricsAndWhatNamesThem compares what a worker serves with the conventions of Prometheus, with the table of
// docs/observability.md, and with all that the alerts and the dashboard ask for.
func TestMetricsAndWhatNamesThem(t *testing.T) {
	t.Parallel()
	e := startExposed(t)
	problems, err := promlint.New(strings.NewReader(e.text)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, "retune_") {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
	e.compareDocs(t)
	for where, query := range queries(t) {
		names := regexp.MustCompile(`\b(retune|go|process)_[a-z0-9_]+`).FindAllString(query, -1)
		if len(names) == 0 {
			t.Errorf("%s: no metric in %s", where, query)
		}
		if strings.Contains(query, "job=") {
			t.Errorf("%s: the name of a job is up to who scrapes: %s", where, query)
		}
		for _, name := range names {
			family := e.family(name)
			if e.types[family] == "" {
				t.Errorf("%s: no metric is called %s", where, name)
			}
			if (e.types[family] == "histogram") != (family != name) {
				t.Errorf("%s: %s of a %s", where, name, e.types[family])
			}
		}
		e.checkLabels(t, where, query)
	}
}

// checkLabels finds labels that no metric of the query has. job, instance and namespace are Prometheus' own.
func (e exposed) checkLabels(t *testing.T, where, query string) {
	t.Helper()
	known := []string{"job", "instance", "namespace", "le"}
	for _, name := range regexp.MustCompile(`\bretune_[a-z0-9_]+`).FindAllString(query, -1) {
		known = append(known, e.labels[e.family(name)]...)
	}
	var used []string
	for _, by := range regexp.MustCompile(`by \(([^)]*)\)`).FindAllStringSubmatch(query, -1) {
		used = append(used, strings.Split(by[1], ",")...)
	}
	for _, match := range regexp.MustCompile(`([a-z]+)(?:=|!)~?"`).FindAllStringSubmatch(query, -1) {
		used = append(used, match[1])
	}
	for _, label := range used {
		if !slices.Contains(known, strings.TrimSpace(label)) {
			t.Errorf("%s: no label %q in %s", where, label, query)
		}
	}
}

var metricRow = regexp.MustCompile("^\\| `(retune_[a-z_]+)` \\| ([a-z]+) \\|([^|]*)\\|")

func (e exposed) compareDocs(t *testing.T) {
	t.Helper()
	told := map[string]bool{}
	for line := range strings.Lines(observability(t)) {
		m := metricRow.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		told[m[1]] = true
		var labels []string
		for _, l := range regexp.MustCompile("`([a-z]+)`").FindAllStringSubmatch(m[3], -1) {
			labels = append(labels, l[1])
		}
		slices.Sort(labels)
		if m[2] != e.types[m[1]] || !slices.Equal(labels, e.labels[m[1]]) {
			t.Errorf("the table says %s %s %q, the worker %q %q", m[1], m[2], labels, e.types[m[1]], e.labels[m[1]])
		}
	}
	for _, name := range e.own() {
		if !told[name] {
			t.Errorf("docs/observability.md does not name %s", name)
		}
	}
}

func observability(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(repository, "docs/observability.md"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// queries are those of the alerts, the dashboard and what scales workers, by where they stand.
func queries(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, a := range readAlerts(t) {
		all["alert "+a.Alert] = a.Expr
	}
	scalers, err := filepath.Glob(filepath.Join(repository, "deploy/kubernetes/components/*/*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range scalers {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, query := range regexp.MustCompile(`(?m)^\s*query: (.+)$`).FindAllStringSubmatch(string(text), -1) {
			all[filepath.Base(file)] = query[1]
		}
	}
	text, err := os.ReadFile(filepath.Join(repository, "deploy/grafana/dashboard.json"))
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Panels []struct {
			Title, Type string
			Targets     []struct{ RefID, Expr string }
		}
	}
	if err := json.Unmarshal(text, &dashboard); err != nil {
		t.Fatal(err)
	}
	for _, p := range dashboard.Panels {
		if p.Type != "row" && len(p.Targets) == 0 {
			t.Errorf("panel %s has no query", p.Title)
		}
		for _, q := range p.Targets {
			all[fmt.Sprintf("panel %s %s", p.Title, q.RefID)] = q.Expr
		}
	}
	return all
}

type alert struct {
	Alert       string            `yaml:"alert"`
	Expr        string            `yaml:"expr"`
	For         string            `yaml:"for"`
	Labels      map[string]string `yaml:"labels"`
	Annotations map[string]string `yaml:"annotations"`
}

func readAlerts(t *testing.T) []alert {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(repository, "deploy/prometheus/alerts.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Groups []struct {
			Name  string  `yaml:"name"`
			Rules []alert `yaml:"rules"`
		} `yaml:"groups"`
	}
	if err := yaml.UnmarshalWithOptions(text, &file, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	return file.Groups[0].Rules
}

func TestEveryAlertHasARunbook(t *testing.T) {
	t.Parallel()
	var sections []string
	lines := bufio.NewScanner(strings.NewReader(observability(t)))
	for lines.Scan() {
		if name, ok := strings.CutPrefix(lines.Text(), "### Retune"); ok {
			sections = append(sections, "Retune"+name)
		}
	}
	fire, err := os.ReadFile(filepath.Join(repository, "deploy/prometheus/alerts_test.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var alerts []string
	for _, a := range readAlerts(t) {
		alerts = append(alerts, a.Alert)
		if !strings.Contains(string(fire), "alertname=\""+a.Alert+"\"") {
			t.Errorf("deploy/prometheus/alerts_test.yaml has no %s that fires", a.Alert)
		}
		if a.Annotations["runbook"] != "docs/observability.md#"+strings.ToLower(a.Alert) || a.Annotations["summary"] == "" || a.Labels["severity"] == "" {
			t.Errorf("%+v", a)
		}
	}
	if !slices.Equal(alerts, sections) || len(alerts) < 8 {
		t.Errorf("alerts %q\nrunbooks %q", alerts, sections)
	}
}

// TestPrometheusFindsTheWorkers compares the scrape config with what the workers of docker-compose.yml listen on.
func TestPrometheusFindsTheWorkers(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(repository, "deploy/prometheus/prometheus.yml"))
	if err != nil {
		t.Fatal(err)
	}
	var prometheus struct {
		RuleFiles     []string `yaml:"rule_files"`
		ScrapeConfigs []struct {
			Name string `yaml:"job_name"`
			DNS  []struct {
				Names []string `yaml:"names"`
				Port  int      `yaml:"port"`
			} `yaml:"dns_sd_configs"`
		} `yaml:"scrape_configs"`
	}
	if err := yaml.Unmarshal(text, &prometheus); err != nil {
		t.Fatal(err)
	}
	text, err = os.ReadFile(filepath.Join(repository, "deploy/worker.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	config, err := parseConfig(text, func(string) (string, bool) { return "nats://127.0.0.1:4222", true })
	if err != nil {
		t.Fatal(err)
	}
	job := prometheus.ScrapeConfigs[0]
	if at := fmt.Sprintf("0.0.0.0:%d", job.DNS[0].Port); config.HTTP != at || job.Name != "retune" || !slices.Equal(job.DNS[0].Names, []string{"worker"}) {
		t.Errorf("%+v, the worker is on %s", job, config.HTTP)
	}
	if text, err = os.ReadFile(filepath.Join(repository, "docker-compose.yml")); err != nil || !strings.Contains(string(text), "\n  worker:\n") {
		t.Errorf("docker-compose.yml has no service worker: %v", err)
	}
}
