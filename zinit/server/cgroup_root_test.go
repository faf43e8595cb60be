package server

import (
	"errors"
	"sync"
	"testing"
)

// What keeps groups from being made may go away: it is asked again for the next service.
// The loop takes groups away meanwhile.
func TestCgroupsAreTriedAgain(t *testing.T) {
	root, tries := t.TempDir(), 0
	c := newCgroups(func() (string, error) {
		if tries++; tries == 1 {
			return "", errors.New("not yet")
		}
		return root, nil
	})
	var loop sync.WaitGroup
	loop.Go(func() { c.remove("x") })
	if got, err := c.ready(); err == nil {
		t.Errorf("the first try: %q", got)
	}
	for range 2 {
		if got, err := c.ready(); got != root || err != nil {
			t.Errorf("the next: %q, %v", got, err)
		}
	}
	loop.Wait()
	if tries != 2 {
		t.Errorf("%d tries, want 2: groups that are there are not made again", tries)
	}
}
