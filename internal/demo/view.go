package demo

import (
	"fmt"
	"io"
)

// View shows a board. Show is called whenever it changed, Close once at the end.
type View interface {
	Show(*Board) error
	Close() error
}

// NewLines is a view for what is no terminal: one line per piece of news.
func NewLines(w io.Writer) View { return &lines{w: w} }

type lines struct {
	w    io.Writer
	told int
}

func (l *lines) Show(b *Board) error {
	for _, n := range b.News[l.told:] {
		if _, err := fmt.Fprintf(l.w, "report %3d  %-10s  %s\n", n.Report, n.Model, n.Text); err != nil {
			return err
		}
	}
	l.told = len(b.News)
	return nil
}

func (l *lines) Close() error { return nil }

// NoView shows nothing.
type NoView struct{}

// Show does nothing.
func (NoView) Show(*Board) error { return nil }

// Close does nothing.
func (NoView) Close() error { return nil }
