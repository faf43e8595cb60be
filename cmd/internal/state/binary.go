package state

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/google/renameio/v2"
)

// KeepBinary copies the running program into the folder under its content's
// hash and returns the copy's path. Services name the copy: the file that was
// started may be gone in a moment (`go run`) or replaced by another version.
func (f *Folder) KeepBinary() (string, error) {
	// /proc/self/exe opens the program even when its file was removed.
	src, err := os.Open("/proc/self/exe")
	if err != nil {
		return "", fmt.Errorf("open own program: %w", err)
	}
	defer src.Close()
	h := sha256.New()
	if _, err := io.Copy(h, src); err != nil {
		return "", fmt.Errorf("read own program: %w", err)
	}
	path := f.Path("bin", "herosup-"+hex.EncodeToString(h.Sum(nil))[:16])
	if _, err := os.Stat(path); err == nil {
		return path, nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("keep own program: %w", err)
	}
	if err := os.MkdirAll(f.Path("bin"), 0o700); err != nil {
		return "", fmt.Errorf("keep own program: %w", err)
	}
	if _, err := src.Seek(0, io.SeekStart); err != nil {
		return "", fmt.Errorf("read own program: %w", err)
	}
	dst, err := renameio.NewPendingFile(path, renameio.WithPermissions(0o700))
	if err != nil {
		return "", fmt.Errorf("keep own program: %w", err)
	}
	defer dst.Cleanup() //nolint:errcheck // after the replacement there is nothing to clean
	if _, err := io.Copy(dst, src); err != nil {
		return "", fmt.Errorf("keep own program: %w", err)
	}
	if err := dst.CloseAtomicallyReplace(); err != nil {
		return "", fmt.Errorf("keep own program: %w", err)
	}
	return path, nil
}

// PruneBinaries removes copies that no path in keep names.
func (f *Folder) PruneBinaries(keep map[string]bool) error {
	entries, err := os.ReadDir(f.Path("bin"))
	if err != nil {
		return err
	}
	for _, e := range entries {
		if p := f.Path("bin", e.Name()); !keep[p] {
			if err := os.Remove(p); err != nil {
				return err
			}
		}
	}
	return nil
}
