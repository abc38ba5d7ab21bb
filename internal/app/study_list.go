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
)

// StudyRow is a study in a list.
type StudyRow struct {
	Model      string    `json:"model"`
	Study      string    `json:"study"`
	State      string    `json:"state"` // running, or why it ended
	Trials     int       `json:"trials"`
	Complete   int       `json:"complete"`
	BestTrial  *int      `json:"best_trial,omitempty"`
	BestValue  *float64  `json:"best_value,omitempty"`
	StartedAt  time.Time `json:"started_at"`
	FinishedAt time.Time `json:"finished_at,omitzero"`
}

// ListStudies prints all studies, those of each model in the order of their start.
func ListStudies(ctx context.Context, b *bus.Bus, model string, asJSON bool, out io.Writer) error {
	if err := checkFlag("--model", model); err != nil {
		return err
	}
	rows, err := studyRows(ctx, b, cmp.Or(model, "*"))
	if err != nil {
		return err
	}
	if asJSON {
		return printJSON(out, rows)
	}
	if len(rows) == 0 {
		_, err := fmt.Fprintln(out, "no studies: worker study start -f FILE starts one")
		return err
	}
	table := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(table, "MODEL\tSTUDY\tSTATE\tTRIALS\tCOMPLETE\tBEST\tIN TRIAL\tSTARTED\tTOOK")
	for _, r := range rows {
		best, trial := "-", "-"
		if r.BestTrial != nil {
			best, trial = numberText(*r.BestValue), fmt.Sprint(*r.BestTrial)
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%d\t%d\t%s\t%s\t%s\t%s\n", r.Model, r.Study, r.State, r.Trials, r.Complete, best, trial,
			clock(r.StartedAt), took(r.StartedAt, r.FinishedAt, b.Now()))
	}
	return table.Flush()
}

// studyRows keeps no more of each record than its row: there may be many.
func studyRows(ctx context.Context, b *bus.Bus, model string) ([]StudyRow, error) {
	runs, err := b.KeyNames(ctx, "study.*."+model)
	if err != nil {
		return nil, err
	}
	ended, err := b.KeyNames(ctx, "study.*."+model+".*")
	if err != nil {
		return nil, err
	}
	rows := []StudyRow{}
	for chunk := range slices.Chunk(append(runs, ended...), 100) {
		found, err := b.ReadLatest(ctx, chunk)
		if err != nil {
			return nil, err
		}
		for _, e := range found {
			if e.Value == nil {
				continue
			}
			v, err := viewStudy(e)
			if err != nil {
				return nil, err
			}
			rows = append(rows, v.row())
		}
	}
	slices.SortFunc(rows, func(a, b StudyRow) int {
		return cmp.Or(cmp.Compare(a.Model, b.Model), a.StartedAt.Compare(b.StartedAt), cmp.Compare(a.Study, b.Study))
	})
	return rows, nil
}

func (v *StudyView) row() StudyRow {
	r := StudyRow{
		Model: v.Model, Study: v.Name, State: v.State, Trials: v.total(), Complete: v.Counts["complete"],
		StartedAt: v.StartedAt.UTC(), FinishedAt: v.FinishedAt.UTC(),
	}
	if v.Best != nil {
		r.BestTrial, r.BestValue = &v.Best.Number, v.Best.Value
	}
	return r
}

// printJSON is for people and for jq.
func printJSON(out io.Writer, v any) error {
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(v)
}

func clock(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05") }

func took(start, end, now time.Time) string {
	if end.IsZero() {
		end = now
	}
	return shortDuration(max(0, end.Sub(start)))
}

// shortDuration has about three digits.
func shortDuration(d time.Duration) string {
	switch {
	case d >= time.Minute:
		return d.Round(time.Second).String()
	case d >= time.Second:
		return d.Round(10 * time.Millisecond).String()
	}
	return d.Round(time.Millisecond).String()
}
