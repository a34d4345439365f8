package dptest

import (
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
)

// dirtyBytes is how much of the head-room is dirtied: nearly all that a program can reach.
const dirtyBytes = 208

// newDirtyingEntry returns a program that fills the head-room with a pattern and goes on to next.
// Its spec is next's. Test runs zero the head-room; on a real interface the last frame's bytes lie there.
//
// The table goes empty when it is closed; close both at the end.
func newDirtyingEntry(next *ebpf.Program, like *ebpf.ProgramSpec) (entry *ebpf.Program, table *ebpf.Map, err error) {
	table, err = ebpf.NewMapWithOptions(&ebpf.MapSpec{
		Type: ebpf.ProgramArray, KeySize: 4, ValueSize: 4, MaxEntries: 1,
		Contents: []ebpf.MapKV{{Key: uint32(0), Value: next}},
	}, ebpf.MapOptions{})
	if err != nil {
		return nil, nil, fmt.Errorf("table of programs: %w", err)
	}
	code := asm.Instructions{asm.Mov.Reg(asm.R6, asm.R1)}
	code = append(code, adjustHead(-dirtyBytes)...)
	code = append(code,
		asm.LoadMem(asm.R1, asm.R6, 0, asm.Word), // data
		asm.LoadMem(asm.R2, asm.R6, 4, asm.Word), // data_end
		asm.Mov.Reg(asm.R3, asm.R1),
		asm.Add.Imm(asm.R3, dirtyBytes),
		asm.JGT.Reg(asm.R3, asm.R2, "aborted"),
		asm.LoadImm(asm.R4, 0x5ad75ad75ad75ad7, asm.DWord),
	)
	for offset := int16(0); offset < dirtyBytes; offset += 8 {
		code = append(code, asm.StoreMem(asm.R1, offset, asm.R4, asm.DWord))
	}
	code = append(code, adjustHead(dirtyBytes)...)
	code = append(code,
		asm.Mov.Reg(asm.R1, asm.R6),
		asm.LoadMapPtr(asm.R2, table.FD()),
		asm.Mov.Imm(asm.R3, 0),
		asm.FnTailCall.Call(),
		asm.Mov.Imm(asm.R0, 0).WithSymbol("aborted"),
		asm.Return(),
	)
	entry, err = ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: like.Type, AttachType: like.AttachType, Flags: like.Flags, // a tail call goes only to its like
		Instructions: code, License: "GPL",
	})
	if err != nil {
		table.Close()
		return nil, nil, fmt.Errorf("dirtying entry: %w", err)
	}
	return entry, table, nil
}

func adjustHead(delta int32) asm.Instructions {
	return asm.Instructions{
		asm.Mov.Reg(asm.R1, asm.R6),
		asm.Mov.Imm(asm.R2, delta),
		asm.FnXdpAdjustHead.Call(),
		asm.JNE.Imm(asm.R0, 0, "aborted"),
	}
}
