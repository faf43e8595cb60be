package store

import "context"

// TrimFacts drops the facts before an id; the id itself stays, as the mark that
// ReadFacts looks for. The cap in the scripts bounds a stream that nobody reads;
// this keeps one that is read short, which matters on the embedded server: there
// each read walks the whole stream.
func (s *Store) TrimFacts(ctx context.Context, before string) error {
	k := s.keys.facts()
	return s.fault(ctx, s.rdb.XTrimMinID(ctx, k.name, before).Err(), []key{k})
}
