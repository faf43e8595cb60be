package embedded

import (
	"io/fs"
	"path/filepath"
	"syscall"
)

const (
	mostStore = 8 << 30
	// leastStore is the limit however little is free: the history alone reserves half of
	// it, and below that the streams could not be made, nor found again.
	leastStore = 512 << 20
)

// defaultMaxStore keeps the store's limit below what is free, so that a full
// store is refused with an answer; on a disk that is really full NATS gives none. What
// the store has already is not free, and still its own: a start must not take less than
// the one before, or nothing goes into a log that is deep.
func defaultMaxStore(dir string) int64 {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return mostStore
	}
	return storeLimit(stored(filepath.Join(dir, "jetstream")), int64(st.Bavail)*st.Bsize)
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
