package server

import (
	"log/slog"
	"os"
)

// Check looks, without starting anything, for processes that an earlier server
// over the folder left when it was killed: a *LeftOvers, or nil.
func Check(dir string) error {
	if _, err := os.Stat(dir); os.IsNotExist(err) {
		return nil // there never was one
	}
	left, err := newRecords(dir).find(slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	if len(left) > 0 {
		return &LeftOvers{Dir: dir, Processes: left}
	}
	return nil
}
