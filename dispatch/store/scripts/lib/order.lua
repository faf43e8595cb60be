-- Log sequences are unsigned 64-bit numbers as decimal text; a Lua number would round them.
local function before(a, b)
  return #a < #b or (#a == #b and a < b)
end
