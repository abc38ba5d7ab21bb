package app

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/visutility/retune/internal/bus"
	"github.com/visutility/retune/internal/observer"
	"github.com/visutility/retune/internal/wire"
)

// Overview is what Show prints without a model.
type Overview struct {
	Partitions int         `json:"partitions"`
	Workers    []WorkerRow `json:"workers"`
	Known      int         `json:"models_known"` // as counted by the partitions
	Models     []ModelRow  `json:"models"`       // the first by name
}

// WorkerRow is a live worker.
type WorkerRow struct {
	ID         string    `json:"id"`
	Host       string    `json:"host"`
	PID        int       `json:"pid"`
	Version    string    `json:"version"`
	ConfigHash string    `json:"config_hash"`
	Started    time.Time `json:"started"`
	Partitions []int     `json:"partitions"` // its share by the list of workers
	Lag        uint64    `json:"lag"`        // inputs not yet applied in them
}

// ModelRow is a model with what is stored of it.
type ModelRow struct {
	Model     string `json:"model"`
	Partition int    `json:"partition"`
	Owner     string `json:"owner"` // id of a worker; "": none lives
	Reports   uint64 `json:"reports"`
	Failed    uint64 `json:"failed"`
	Configs   uint64 `json:"configs"` // live configs given
	Health    string `json:"health"`  // healthy, stale, or the severity of the episode that runs
	Study     string `json:"study,omitempty"`
}

// modelRecord is what package coordinator stores of a model, as far as it is shown.
type modelRecord struct {
	Number    uint64 `msgpack:"number"`
	Reports   uint64 `msgpack:"reports"`
	Failed    uint64 `msgpack:"failed"`
	Forgotten bool   `msgpack:"forgotten"`

	Episode observer.EpisodeSnapshot `msgpack:"episode"`
}

func (r modelRecord) health() string {
	switch {
	case r.Episode.Silent:
		return string(observer.Stale)
	case r.Episode.Runs:
		return cmp.Or(string(r.Episode.Severity), "degraded, in a cool-down")
	}
	return "healthy"
}

// Show prints the workers and up to limit models; limit 0 is all.
func Show(ctx context.Context, b *bus.Bus, limit int, asJSON bool, out io.Writer) error {
	o, err := overview(ctx, b, limit)
	if err != nil {
		return err
	}
	if asJSON {
		return printJSON(out, o)
	}
	return o.print(out)
}

func overview(ctx context.Context, b *bus.Bus, limit int) (Overview, error) {
	layout, err := b.Layout(ctx)
	if err != nil {
		return Overview{}, err
	}
	o := Overview{Partitions: layout.Partitions, Workers: []WorkerRow{}, Models: []ModelRow{}}
	workers, owners, err := ownership(ctx, b, layout)
	if err != nil {
		return o, err
	}
	for _, w := range workers {
		o.Workers = append(o.Workers, workerRow(w, owners))
	}
	if o.Known, err = knownModels(ctx, b, layout); err != nil {
		return o, err
	}
	keys, err := b.KeyNames(ctx, "model.*.*")
	if err != nil {
		return o, err
	}
	o.Models, err = modelRows(ctx, b, keys, owners, limit)
	return o, err
}

func ownership(ctx context.Context, b *bus.Bus, layout bus.Layout) (workers []bus.Worker, owners []string, err error) {
	if workers, err = b.Workers(ctx); err != nil {
		return nil, nil, err
	}
	ids := make([]string, len(workers))
	for i, w := range workers {
		ids[i] = w.ID
	}
	return workers, bus.Owners(layout.Partitions, ids), nil
}

func workerRow(w bus.Worker, owners []string) WorkerRow {
	r := WorkerRow{ID: w.ID, Host: w.Host, PID: w.PID, Version: w.Version, ConfigHash: w.ConfigHash, Started: w.Started, Partitions: []int{}}
	for p, owner := range owners {
		if owner == w.ID {
			r.Partitions = append(r.Partitions, p)
		}
	}
	for _, lag := range w.Lag {
		r.Lag += lag
	}
	return r
}

// knownModels adds up what the partitions count, which costs less than reading all.
func knownModels(ctx context.Context, b *bus.Bus, layout bus.Layout) (known int, err error) {
	keys := make([]string, layout.Partitions)
	for p := range keys {
		keys[p] = wire.OffsetKey(p)
	}
	found, err := b.ReadLatest(ctx, keys)
	if err != nil {
		return 0, err
	}
	for _, e := range found {
		var offset struct {
			Models int `msgpack:"models"`
		}
		if err := wire.UnmarshalState(e.Value, &offset); err != nil {
			return 0, fmt.Errorf("%s: %w", e.Key, err)
		}
		known += offset.Models
	}
	return known, nil
}

// modelRows reads the models' records until there are enough; those of forgotten
// models do not count.
func modelRows(ctx context.Context, b *bus.Bus, names, owners []string, limit int) ([]ModelRow, error) {
	keys := parseKeys(names)
	rows := []ModelRow{}
	for chunk := range slices.Chunk(keys, 200) {
		var ask []string
		for _, k := range chunk {
			ask = append(ask, wire.ModelKey(k.Partition, k.Model), wire.StudyKey(k.Partition, k.Model))
		}
		found, err := b.ReadLatest(ctx, ask)
		if err != nil {
			return nil, err
		}
		for _, k := range chunk {
			if limit > 0 && len(rows) == limit {
				return rows, nil
			}
			row, known, err := modelRow(k, found)
			if err != nil {
				return nil, err
			}
			if known {
				row.Owner = owners[k.Partition%len(owners)]
				rows = append(rows, row)
			}
		}
	}
	return rows, nil
}

func parseKeys(names []string) []wire.Key {
	keys := make([]wire.Key, 0, len(names))
	for _, name := range names {
		if k, ok := wire.ParseKey(name); ok {
			keys = append(keys, k)
		}
	}
	slices.SortFunc(keys, func(a, b wire.Key) int { return cmp.Compare(a.Model, b.Model) })
	return keys
}

func modelRow(k wire.Key, found map[string]bus.Entry) (row ModelRow, known bool, err error) {
	e := found[wire.ModelKey(k.Partition, k.Model)]
	if e.Value == nil {
		return row, false, nil
	}
	var r modelRecord
	if err := wire.UnmarshalState(e.Value, &r); err != nil {
		return row, false, fmt.Errorf("%s: %w", e.Key, err)
	}
	row = ModelRow{Model: k.Model, Partition: k.Partition, Reports: r.Reports, Failed: r.Failed, Configs: r.Number, Health: r.health()}
	if e := found[wire.StudyKey(k.Partition, k.Model)]; e.Value != nil {
		v, err := viewStudy(e)
		if err != nil {
			return row, false, err
		}
		row.Study = v.Name
	}
	return row, !r.Forgotten, nil
}

func (o Overview) print(out io.Writer) error {
	fmt.Fprintf(out, "workers: %d, partitions: %d, models: %d\n\n", len(o.Workers), o.Partitions, o.Known)
	table := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(table, "WORKER\tHOST\tPID\tVERSION\tSTARTED\tPARTITIONS\tLAG\tCONFIG")
	hashes := map[string]bool{}
	for _, w := range o.Workers {
		hashes[w.ConfigHash] = true
		fmt.Fprintf(table, "%s\t%s\t%d\t%s\t%s\t%d\t%d\t%.8s\n", w.ID, printable(w.Host), w.PID, printable(w.Version), clock(w.Started), len(w.Partitions), w.Lag, w.ConfigHash)
	}
	fmt.Fprintln(table)
	if len(hashes) > 1 {
		fmt.Fprintf(table, "the workers run with %d different configs: models change their treatment as partitions move\n\n", len(hashes))
	}
	if len(o.Models) == 0 {
		fmt.Fprintln(table, "no models: they appear with their first report or study")
		return table.Flush()
	}
	fmt.Fprintln(table, "MODEL\tPARTITION\tOWNER\tREPORTS\tFAILED\tCONFIGS\tHEALTH\tSTUDY")
	for _, m := range o.Models {
		fmt.Fprintf(table, "%s\t%d\t%s\t%d\t%d\t%d\t%s\t%s\n", m.Model, m.Partition, m.Owner, m.Reports, m.Failed, m.Configs, m.Health, m.Study)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if hidden := o.Known - len(o.Models); hidden > 0 {
		fmt.Fprintf(out, "… and %d more models: --limit 0 shows all\n", hidden)
	}
	return nil
}

// ModelView is all that is stored of one model.
type ModelView struct {
	Model     string          `json:"model"`
	Partition int             `json:"partition"`
	Owner     string          `json:"owner"` // id of a worker; "": none lives
	Lag       uint64          `json:"lag"`   // of the partition
	State     json.RawMessage `json:"state"`
	Running   json.RawMessage `json:"running_study,omitempty"`
	Studies   []StudyRow      `json:"studies"`
}

// ShowModel prints what is stored of a model, as JSON.
func ShowModel(ctx context.Context, b *bus.Bus, model string, out io.Writer) error {
	if err := wire.CheckName("model", model); err != nil {
		return &Misuse{err}
	}
	layout, err := b.Layout(ctx)
	if err != nil {
		return err
	}
	v := ModelView{Model: model, Partition: layout.Partition(model)}
	if err := v.loadState(ctx, b); err != nil {
		return err
	}
	workers, owners, err := ownership(ctx, b, layout)
	if err != nil {
		return err
	}
	for _, w := range workers {
		if w.ID == owners[v.Partition] {
			v.Owner, v.Lag = w.ID, w.Lag[v.Partition]
		}
	}
	if v.Studies, err = studyRows(ctx, b, model); err != nil {
		return err
	}
	return printJSON(out, v)
}

func (v *ModelView) loadState(ctx context.Context, b *bus.Bus) error {
	model, running := wire.ModelKey(v.Partition, v.Model), wire.StudyKey(v.Partition, v.Model)
	found, err := b.ReadLatest(ctx, []string{model, running})
	if err != nil {
		return err
	}
	if found[model].Value == nil {
		return fmt.Errorf("model %s is not known: `worker show` lists those that are; it appears with its first report or study, within a second", v.Model)
	}
	if v.State, err = wire.ToJSON(found[model].Value); err != nil {
		return fmt.Errorf("%s: %w", model, err)
	}
	if body := found[running].Value; body != nil {
		if v.Running, err = wire.ToJSON(body); err != nil {
			return fmt.Errorf("%s: %w", running, err)
		}
	}
	return nil
}
