package wire

import (
	"testing"
)

var benchDocument = map[string]any{
	"metrics": map[string]any{"loss": 0.25, "accuracy": 0.91, "f1_score": 0.88},
	"config":  map[string]any{"lr": 0.01, "batch": 64},
	"version": "v12",
}

func BenchmarkDecodeReport(b *testing.B) {
	packed, err := MarshalState(benchDocument)
	if err != nil {
		b.Fatal(err)
	}
	text, err := ToJSON(packed)
	if err != nil {
		b.Fatal(err)
	}
	for name, body := range map[string][]byte{"msgpack": packed, "json": text} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(body)))
			var d Decoder
			var r Report
			for b.Loop() {
				if err := d.DecodeReport(body, "", &r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func benchRetrain() Retrain {
	config, _ := MarshalState(map[string]any{"lr": 0.01, "batch": 64})
	return Retrain{ID: "01J", ModelID: "m", Trigger: "degraded", Reason: "Loss degraded 12.34% vs. rolling mean",
		Metric: "loss", Value: new(0.5), Reference: new(0.25), Config: config, Time: "2026-01-02T03:04:05Z", Sequence: 7}
}

func BenchmarkEncode(b *testing.B) {
	message := benchRetrain()
	for name, encoding := range map[string]Encoding{"msgpack": Msgpack, "json": JSON} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Encode(&message, encoding); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkUnmarshalState(b *testing.B) {
	body, err := MarshalState(benchRetrain())
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		var message Retrain
		if err := UnmarshalState(body, &message); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseInput(b *testing.B) {
	s := Subjects{"retune"}
	b.ReportAllocs()
	for b.Loop() {
		if _, _, _, ok := s.ParseInput("retune.metrics.17.fraud-eu-1"); !ok {
			b.Fatal("refused")
		}
	}
}
