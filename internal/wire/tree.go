package wire

// DecodeTree decodes any msgpack or JSON document to map[string]any, []any, string, bool, int64, uint64 (above the
// range of int64), float64 and nil. A timestamp becomes RFC 3339, a binary value a string, another extension nil.
func DecodeTree(body []byte, contentType string) (any, error) {
	b, err := toMsgpack(nil, body, contentType)
	if err != nil {
		return nil, err
	}
	r := reader{b: b}
	t, err := r.next()
	if err != nil {
		return nil, err
	}
	tree, err := r.tree(t, 0)
	if err != nil {
		return nil, err
	}
	return tree, r.end()
}

func (r *reader) tree(t token, depth int) (any, error) {
	if _, err := t.children(depth); err != nil {
		return nil, err
	}
	switch t.kind {
	case mapKind:
		return r.treeMap(int(t.i), depth+1)
	case listKind:
		return r.treeList(int(t.i), depth+1)
	}
	return t.leaf(), nil
}

// maxHint bounds what is allocated on the word of a length: nested ones could each claim the rest of the document.
const maxHint = 64

func (r *reader) treeMap(n, depth int) (map[string]any, error) {
	tree := make(map[string]any, min(n, maxHint))
	for range n {
		key, value, err := r.entry()
		if err != nil {
			return nil, err
		}
		if tree[string(key)], err = r.tree(value, depth); err != nil {
			return nil, err
		}
	}
	return tree, nil
}

func (r *reader) treeList(n, depth int) ([]any, error) {
	list := make([]any, 0, min(n, maxHint))
	for range n {
		t, err := r.next()
		if err != nil {
			return nil, err
		}
		element, err := r.tree(t, depth)
		if err != nil {
			return nil, err
		}
		list = append(list, element)
	}
	return list, nil
}

func (t token) leaf() any {
	switch t.kind {
	case boolKind:
		return t.i != 0
	case intKind:
		return t.i
	case uintKind:
		return uint64(t.i)
	case floatKind:
		return t.float()
	case stringKind, binaryKind:
		return string(t.bytes)
	case extKind:
		if at, ok := t.time(); ok {
			return Time(at)
		}
	}
	return nil
}
