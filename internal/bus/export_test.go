package bus

// Buffered is how many inputs were fetched and not taken.
func (r *Reader) Buffered() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.buffer)
}
