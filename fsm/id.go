package fsm

import (
	"fmt"
	"strconv"
	"strings"

	"herosup/events"
)

// maxIndex bounds the number in an actor's id, so that nobody makes us keep
// records without end.
const maxIndex = 100_000

// SplitID reads an actor's id, "<pool>_<n>" with n from 1 and no leading zero.
// The pool's own name may hold underscores.
func SplitID(id string) (pool string, n int, err error) {
	if err := events.CheckToken("actor id", id); err != nil {
		return "", 0, err
	}
	i := strings.LastIndexByte(id, '_')
	if i <= 0 {
		return "", 0, fmt.Errorf("actor id %q: want <pool>_<n>", id)
	}
	n, err = strconv.Atoi(id[i+1:])
	if err != nil || n < 1 || n > maxIndex || strconv.Itoa(n) != id[i+1:] {
		return "", 0, fmt.Errorf("actor id %q: %q is no number from 1 to %d", id, id[i+1:], maxIndex)
	}
	return id[:i], n, nil
}
