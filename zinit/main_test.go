package zinit_test

import (
	"testing"

	"herosup/zinit/zinittest"
)

func TestMain(m *testing.M) { zinittest.Main(m) }
