package internal_test

import (
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// notOurs are folders whose pages others write, or tools.
var notOurs = []string{".git", "node_modules", "bin", "dist", "venv", ".venv"}

// TestLinks follows each relative link of the pages in this repository, to a file and to a heading in it, and from
// docs/README.md to each page of docs.
func TestLinks(t *testing.T) {
	t.Parallel()
	root := ".."
	pages := markdown(t, root)
	for _, page := range pages {
		for _, mistake := range brokenLinks(t, page) {
			t.Error(mistake)
		}
	}
	if listed, _ := filepath.Glob(filepath.Join(root, "docs", "*.md")); len(listed) == 0 || len(pages) <= len(listed) {
		t.Errorf("%d pages, %d of them in docs", len(pages), len(listed))
	}
	index := filepath.Join(root, "docs", "README.md")
	linked := map[string]bool{index: true}
	for _, link := range links(read(t, index)) {
		file, _, _ := strings.Cut(link, "#")
		linked[filepath.Join(root, "docs", file)] = true
	}
	for _, page := range pages {
		if filepath.Dir(page) == filepath.Dir(index) && !linked[page] {
			t.Errorf("%s does not link to %s", index, filepath.Base(page))
		}
	}
}

// markdown lists the pages under the root.
func markdown(t *testing.T, root string) (pages []string) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && slices.Contains(notOurs, d.Name()) {
			return filepath.SkipDir
		}
		if strings.HasSuffix(path, ".md") {
			pages = append(pages, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return pages
}

func brokenLinks(t *testing.T, page string) (mistakes []string) {
	t.Helper()
	for _, link := range links(read(t, page)) {
		if u, err := url.Parse(link); err == nil && u.Scheme != "" {
			continue
		}
		name, anchor, hasAnchor := strings.Cut(link, "#")
		file := filepath.Join(filepath.Dir(page), name)
		if name == "" {
			file = page
		}
		if _, err := os.Stat(file); err != nil {
			mistakes = append(mistakes, fmt.Sprintf("%s: the link %q leads to no file", page, link))
		} else if hasAnchor && !slices.Contains(anchors(read(t, file)), anchor) {
			mistakes = append(mistakes, fmt.Sprintf("%s: the link %q leads to no heading of %s", page, link, file))
		}
	}
	return mistakes
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var (
	link       = regexp.MustCompile(`\]\(\s*<?([^)>\s]+)>?[^)]*\)|(?m)^\[[^\]]+\]:\s+<?([^>\s]+)`)
	inlineCode = regexp.MustCompile("`[^`\n]*`")
	headline   = regexp.MustCompile(`^#{1,6}\s+(.*?)\s*#*$`)
	linkText   = regexp.MustCompile(`!?\[([^\]]*)\]\([^)]*\)`)
	notInSlug  = regexp.MustCompile(`[^\p{L}\p{N}_ -]`)
)

// prose is a page without its fenced code.
func prose(page string) (lines []string) {
	fence := ""
	for line := range strings.Lines(page) {
		text := strings.TrimSpace(line)
		switch {
		case fence != "":
			if strings.HasPrefix(text, fence) {
				fence = ""
			}
		case strings.HasPrefix(text, "```"), strings.HasPrefix(text, "~~~"):
			fence = text[:3]
		default:
			lines = append(lines, strings.TrimRight(line, "\n"))
		}
	}
	return lines
}

func links(page string) (targets []string) {
	text := inlineCode.ReplaceAllString(strings.Join(prose(page), "\n"), "")
	for _, m := range link.FindAllStringSubmatch(text, -1) {
		targets = append(targets, m[1]+m[2])
	}
	return targets
}

// anchors of a page's headings, as GitHub makes them.
func anchors(page string) (slugs []string) {
	seen := map[string]int{}
	for _, line := range prose(page) {
		m := headline.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		text := linkText.ReplaceAllString(m[1], "$1")
		slug := strings.ReplaceAll(notInSlug.ReplaceAllString(strings.ToLower(text), ""), " ", "-")
		name := slug
		if n := seen[slug]; n > 0 {
			name = fmt.Sprintf("%s-%d", slug, n)
		}
		seen[slug]++
		slugs = append(slugs, name)
	}
	return slugs
}

func TestBrokenLinks(t *testing.T) {
	t.Parallel()
	page := filepath.Join(t.TempDir(), "page.md")
	text := "# One, `two` & [three](https://example.com)\n\n[a](#one-two--three) [b](#none) [c](none.md)\n[d](page.md#again-1 \"title\") [e]: x\n" +
		"## Again\n## Again\n```sh\n# no heading [f](in-code.md)\n```\n`[g](in-code.md)` [h](#no-heading-f)\n\n[i]: away.md\n"
	if err := os.WriteFile(page, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	got := strings.Join(brokenLinks(t, page), "\n")
	for _, want := range []string{`"#none"`, `"none.md"`, `"#no-heading-f"`, `"away.md"`} {
		if !strings.Contains(got, want) {
			t.Errorf("%s is not found:\n%s", want, got)
		}
	}
	if n := strings.Count(got, "\n") + 1; n != 4 {
		t.Errorf("%d found, want 4:\n%s", n, got)
	}
}
