package problem

import (
	"compress/gzip"
	"os"
	"path/filepath"
	"testing"

	"github.com/visutility/retune/internal/strategy"
)

const smallTable = `act,units,rate,value
relu,16,1e-3,0.5
relu,2,1e-3,0.7
tanh,16,1e-3,0.9
tanh,2,1e-3,0.8
`

func TestTable(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	writeTable(t, filepath.Join(folder, tables[0].file))
	problems, missing, err := Tables(folder)
	if err != nil || len(problems) != 1 || len(missing) != 2 {
		t.Fatalf("%d problems, missing %v, %v", len(problems), missing, err)
	}
	p := problems[0]
	if p.optimum != 0.9 || p.best["act"] != "tanh" || p.best["units"] != int64(16) {
		t.Errorf("the best is %v with %v", p.best, p.optimum)
	}
	if median, _ := p.Median(); median != 0.75 {
		t.Errorf("the median is %v", median)
	}
	units := p.Space.Parameters()[2]
	if units.Kind != strategy.Values || units.Choices[0] != int64(2) {
		t.Errorf("units is %+v", units)
	}
	if v, err := p.Evaluate(map[string]any{"act": "relu", "units": int64(2), "rate": 1e-3}); err != nil || v != 0.7 {
		t.Errorf("relu with 2 units has %v, %v", v, err)
	}
	if _, err := p.Evaluate(map[string]any{"act": "none"}); err == nil {
		t.Error("a config outside the table has a value")
	}
}

func writeTable(t *testing.T, path string) {
	t.Helper()
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	packed := gzip.NewWriter(file)
	if _, err := packed.Write([]byte(smallTable)); err != nil {
		t.Fatal(err)
	}
	if err := packed.Close(); err != nil {
		t.Fatal(err)
	}
}

// The real tables, where they are.
func TestRealTables(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("reads three tables")
	}
	problems, missing, err := Tables(filepath.Join("..", "..", "..", "..", "shared", "data"))
	if err != nil {
		t.Fatal(err)
	}
	if len(missing) > 0 {
		t.Skipf("missing: %v", missing)
	}
	for _, p := range problems {
		checkOptimum(t, p)
		if n, finite := p.Space.Size(); !finite || n < 15_625 {
			t.Errorf("%s has %d configs", p.Name, n)
		}
	}
}
