package embedded

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

const (
	mostStore = 8 << 30
	// leastStore is the limit however little is free: the history alone reserves half of
	// it, and below that the streams could not be made, nor found again.
	leastStore = 512 << 20
)

// A disk that takes half a message is worse for NATS 2.15 than one that takes none: if that is the first of a file of messages, it lists
// in memory each number from 1 to the message's, and the log begins at the clock (rebuildStateFromBufLocked, gatherLost). So nothing is
// stored any more while there is still room.
const (
	// roomEvery is how often the disk's room is looked at.
	roomEvery = 500 * time.Millisecond
	// leastRoom is where the store stops to take anything, enoughRoom where it takes something again.
	leastRoom  = 128 << 20
	enoughRoom = 192 << 20
)

// freeRoom is the room on a folder's disk in bytes; a test has less.
var freeRoom = func(dir string) (int64, error) {
	var st syscall.Statfs_t
	err := syscall.Statfs(dir, &st)
	return int64(st.Bavail) * st.Bsize, err
}

// noRoom says that the disk has too little room; "" when it has not. closed: that was said, and the store is closed by it.
func (s *Server) noRoom(closed bool) string {
	least := int64(leastRoom)
	if closed {
		least = enoughRoom
	}
	room, err := freeRoom(s.cfg.Dir)
	if err != nil || room >= least {
		return ""
	}
	return fmt.Sprintf("the disk of %s has %d MiB of room left; it takes something again with %d MiB", s.cfg.Dir, room>>20, enoughRoom>>20)
}

// close has the store refuse what comes, with an answer, or take it again.
func (s *Server) close(closed bool) error {
	a, err := s.srv.LookupAccount(systemAccount)
	if err != nil {
		return err
	}
	if !closed {
		return a.UpdateJetStreamLimits(nil) // as before: the server's
	}
	return a.UpdateJetStreamLimits(map[string]server.JetStreamAccountLimits{"": {
		MaxStore: 0, MaxMemory: -1, MaxStreams: -1, MaxConsumers: -1, MaxAckPending: -1, MemoryMaxStreamBytes: -1, StoreMaxStreamBytes: -1,
	}})
}

// defaultMaxStore keeps the store's limit below what is free, so that a full
// store is refused with an answer; on a disk that is really full NATS gives none. What
// the store has already is not free, and still its own: a start must not take less than
// the one before, or nothing goes into a log that is deep.
func defaultMaxStore(dir string) int64 {
	room, err := freeRoom(dir)
	if err != nil {
		return mostStore
	}
	return storeLimit(stored(filepath.Join(dir, "jetstream")), room)
}

func storeLimit(used, free int64) int64 { return min(mostStore, max(leastStore, used+free/2)) }

// stored is what the files below dir take.
func stored(dir string) (bytes int64) {
	_ = filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil {
			return nil //nolint:nilerr // what can not be read is not counted; opening the store says why
		}
		if i, err := e.Info(); err == nil && i.Mode().IsRegular() {
			bytes += i.Size()
		}
		return nil
	})
	return bytes
}
