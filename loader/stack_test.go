package loader_test

import (
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"github.com/headgate/headgate/loader"
)

// Linux 6.1 allows a chain of calls 512 bytes of stack, and rounds what each function uses up to 32.
const (
	stackMost    = 512
	stackRounded = 32
)

// frame is what a function has on the stack, and whom it calls.
type frame struct {
	bytes int64
	calls map[string]bool
}

// framesOf reads them from a program's instructions. A place on the stack is an offset from R10, or from a copy of it.
func framesOf(instructions asm.Instructions) map[string]*frame {
	frames := map[string]*frame{}
	var f *frame
	copied := asm.Register(0xff)
	for _, ins := range instructions {
		if name := ins.Symbol(); name != "" && !strings.HasPrefix(name, "LBB") {
			f = &frame{calls: map[string]bool{}}
			frames[name] = f
		}
		if ins.IsFunctionCall() || ins.IsFunctionReference() {
			f.calls[ins.Reference()] = true
		}
		class := ins.OpCode.Class()
		switch {
		case class.IsLoad() && ins.Src == asm.R10, class.IsStore() && ins.Dst == asm.R10:
			f.bytes = max(f.bytes, -int64(ins.Offset))
		case class == asm.ALU64Class && ins.OpCode.ALUOp() == asm.Add && ins.Dst == copied && ins.OpCode.Source() == asm.ImmSource:
			f.bytes = max(f.bytes, -ins.Constant)
		}
		copied = asm.Register(0xff)
		if class == asm.ALU64Class && ins.OpCode.ALUOp() == asm.Mov && ins.OpCode.Source() == asm.RegSource && ins.Src == asm.R10 {
			copied = ins.Dst
		}
	}
	return frames
}

// deepest is the chain of calls from a function on that takes the most stack.
func deepest(frames map[string]*frame, name string) (bytes int64, chain []string) {
	for callee := range frames[name].calls {
		if frames[callee] == nil {
			continue // a helper of the kernel
		}
		if b, c := deepest(frames, callee); b > bytes {
			bytes, chain = b, c
		}
	}
	own := (max(frames[name].bytes, 1) + stackRounded - 1) / stackRounded * stackRounded
	return bytes + own, append([]string{name}, chain...)
}

// TestTheDeepestChainOfCallsFitsTheStackOfTheOldestKernel needs no such kernel.
func TestTheDeepestChainOfCallsFitsTheStackOfTheOldestKernel(t *testing.T) {
	for object, read := range map[string]func() (*ebpf.CollectionSpec, error){"headgate": loader.Spec, "capture": loader.CaptureProgram} {
		spec, err := read()
		if err != nil {
			t.Fatal(err)
		}
		for name, program := range spec.Programs {
			frames := framesOf(program.Instructions)
			if len(frames) == 0 {
				t.Fatalf("%s, %s: no function is found", object, name)
			}
			bytes, chain := deepest(frames, program.Instructions.Name())
			t.Logf("%s, %s: %d bytes: %s", object, name, bytes, strings.Join(chain, ", "))
			if bytes > stackMost {
				t.Errorf("%s, %s: its deepest chain of calls takes %d bytes of stack, %d are allowed: %s", object, name, bytes, stackMost, strings.Join(chain, ", "))
			}
		}
	}
}
