package wire

import "strings"

const maxName = 128

// CheckName refuses an s that cannot be one token of a subject and a key: names of models and studies have 1 to 128
// letters, digits, - or _. The error names field.
func CheckName(field, s string) error {
	if len(s) <= maxName && isToken(s) {
		return nil
	}
	return &FieldError{field, quote(s), "is not a name", "use 1 to 128 of the characters A-Z a-z 0-9 _ -"}
}

func isToken(s string) bool {
	for i := range len(s) {
		if !isNameByte(s[i]) {
			return false
		}
	}
	return s != ""
}

func isNameByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '-'
}

func checkPrefix(prefix string) error {
	for token := range strings.SplitSeq(prefix, ".") {
		if !isToken(token) || len(prefix) > maxName {
			return &FieldError{"prefix", quote(prefix), "is not a subject prefix",
				"use up to 128 of the characters A-Z a-z 0-9 _ -, in tokens divided by dots"}
		}
	}
	return nil
}
