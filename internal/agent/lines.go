package agent

import (
	"strings"
	"unicode"
)

// maxLine is how much of a line is kept, in bytes.
const maxLine = 64 << 10

// lines divides what a program prints. A carriage return ends a line, too, which a terminal then writes over:
// progress bars do so.
type lines struct {
	emit     func(line []byte, overwritten bool) // the line is valid until it returns
	line     []byte
	returned bool // the last byte was a carriage return
}

func (l *lines) write(p []byte) {
	for _, c := range p {
		if c == '\n' {
			l.flush(false)
			continue
		}
		if l.returned && c != '\r' {
			l.flush(true)
		}
		if c == '\r' {
			l.returned = true
		} else if len(l.line) < maxLine {
			l.line = append(l.line, c)
		}
	}
}

func (l *lines) flush(overwritten bool) {
	l.emit(l.line, overwritten)
	l.line, l.returned = l.line[:0], false
}

// close emits a last line without end.
func (l *lines) close() {
	if len(l.line) > 0 {
		l.flush(false)
	}
}

// maxTail bounds what is kept of the standard error for the trial's record, in bytes.
const maxTail = 2 << 10

// tail keeps the last lines.
type tail struct{ text []byte }

func (t *tail) add(line []byte) {
	t.text = append(append(t.text, line...), '\n')
	if extra := len(t.text) - 2*maxTail; extra > 0 { // cut seldom
		t.text = append(t.text[:0], t.text[extra:]...)
	}
}

// String is the text without what is not printable, and begins with a whole line if it has one.
func (t *tail) String() string {
	text := strings.TrimSpace(strings.Map(printable, strings.ToValidUTF8(string(t.text), "·")))
	if len(text) <= maxTail {
		return text
	}
	text = text[len(text)-maxTail:]
	if _, rest, ok := strings.Cut(text, "\n"); ok {
		return rest
	}
	return strings.ToValidUTF8(text, "")
}

func printable(r rune) rune {
	if r == '\n' || r == '\t' || unicode.IsPrint(r) {
		return r
	}
	return -1
}
