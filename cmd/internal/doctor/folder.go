package doctor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"herosup/cmd/internal/state"
)

const folderHint = "choose another with --state or HEROSUP_STATE, or correct its owner and mode"

func lookFolder(_ context.Context, at scene, w *what) {
	switch {
	case errors.Is(at.fault, state.ErrNone):
		parent, err := nearest(at.Dir)
		if err == nil {
			err = unix.Access(parent, unix.W_OK|unix.X_OK)
		}
		if err != nil {
			w.bad(fmt.Sprintf("%s does not exist and can not be made: %s: %v", at.Dir, parent, err), folderHint)
			return
		}
		w.ok(at.Dir + " does not exist yet; the first start makes it")
	case at.fault != nil:
		w.bad(at.fault.Error(), folderHint)
	default:
		if err := tryWrite(at.folder.Dir); err != nil {
			w.bad(fmt.Sprintf("%s can not be written: %v", at.folder.Dir, err), folderHint)
			return
		}
		w.ok(at.folder.Dir + " can be written")
	}
}

// nearest is the first folder above a path that exists.
func nearest(path string) (string, error) {
	path, err := filepath.Abs(path)
	for err == nil {
		st, statErr := os.Stat(path)
		switch {
		case statErr == nil && st.IsDir():
			return path, nil
		case statErr == nil:
			return path, unix.ENOTDIR
		case path == filepath.Dir(path):
			return path, statErr
		}
		path = filepath.Dir(path)
	}
	return path, err
}

// tryWrite makes a file with something in it, and removes it.
func tryWrite(dir string) error {
	f, err := os.CreateTemp(dir, ".doctor-*")
	if err != nil {
		return err
	}
	_, err = f.WriteString("x\n")
	return errors.Join(err, f.Close(), os.Remove(f.Name()))
}
