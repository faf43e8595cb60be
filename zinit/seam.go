package zinit

import "slices"

// seam joins what a zinit keeps of a log to what a subscription brings. The kept
// lines are asked for again once it has begun, so the first that it brings may be
// among them; which ones shows in the lines alone, a zinit has no numbers for them.
type seam struct {
	// told are the lines that may come again: those that were written while the
	// subscription was made. The ones that do are the last of them.
	told []string
	// held are lines that were taken for such as come again and may yet prove to be new.
	held []string
}

// pass is what is to be told when a line has come. Lines that are alike and written
// in the moment of the subscription may be taken for each other.
func (s *seam) pass(line string) []string {
	if s.told == nil {
		return []string{line}
	}
	s.held = append(s.held, line)
	for at := range s.told { // the longest first
		if again := s.told[at:]; len(again) >= len(s.held) && slices.Equal(again[:len(s.held)], s.held) {
			if len(again) == len(s.held) {
				*s = seam{}
			}
			return nil
		}
	}
	held := s.held
	for at := range s.told {
		if again := s.told[at:]; len(again) < len(held) && slices.Equal(again, held[:len(again)]) {
			held = held[len(again):]
			break
		}
	}
	*s = seam{}
	return held
}

// behind are the lines of a log that were written since it was as before: what is
// left of its oldest ones may have been dropped meanwhile.
func behind(before, now []string) []string {
	for at := range before {
		if old := before[at:]; len(old) <= len(now) && slices.Equal(old, now[:len(old)]) {
			return now[len(old):]
		}
	}
	return now
}
