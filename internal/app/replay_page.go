package app

import (
	"fmt"
	"html"
	"io"
	"strings"

	"github.com/visutility/retune/internal/replay"
)

// pageHead needs nothing from elsewhere.
const pageHead = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>worker replay</title>
<style>:root{color-scheme:light dark}body{font:14px sans-serif;margin:1.5em;max-width:80em}svg{max-width:100%;height:auto}
table{border-collapse:collapse;margin:1em 0;font-size:13px}th,td{text-align:left;padding:.25em .7em;border-bottom:1px solid #8884;vertical-align:top}
.scroll{overflow-x:auto}</style></head><body>
`

// page is the drawing with the tables, in one file.
func (p *replayPrinter) page(w io.Writer, d replay.Drawing) error {
	var b strings.Builder
	b.WriteString(pageHead)
	if err := replay.WriteSVG(&b, d); err != nil {
		return err
	}
	shown := d.Subjects[:min(len(d.Subjects), maxModelRows)]
	writeTable(&b, p.summaryRows(shown))
	if p.labels {
		writeTable(&b, p.changeRows(shown))
	}
	writeTable(&b, p.eventRows())
	if p.more > 0 {
		fmt.Fprintf(&b, "<p>… and %d more events</p>\n", p.more)
	}
	b.WriteString("</body></html>\n")
	_, err := io.WriteString(w, b.String())
	return err
}

func writeTable(b *strings.Builder, rows [][]string) {
	if len(rows) == 0 {
		return
	}
	b.WriteString(`<div class="scroll"><table>` + "\n")
	for i, row := range rows {
		cell := "td"
		if i == 0 {
			cell = "th"
		}
		b.WriteString("<tr>")
		for _, text := range row {
			fmt.Fprintf(b, "<%s>%s</%s>", cell, html.EscapeString(text), cell)
		}
		b.WriteString("</tr>\n")
	}
	b.WriteString("</table></div>\n")
}
