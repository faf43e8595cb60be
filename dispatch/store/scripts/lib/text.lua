-- RARE
-- The beginning of a text; not cut through a character.
local function first(text, most)
  while most > 0 and string.find(string.sub(text, most + 1, most + 1), '[\128-\191]') do
    most = most - 1
  end
  return string.sub(text, 1, most)
end
