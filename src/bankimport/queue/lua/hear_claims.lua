-- A worker says that it has what it was given while it waited: the leases are whole from now on.
-- @include leases
-- runs: a list of {id, fence}.
-- Returns the ids of those that are another's by now. Emits nothing.
return reply((renew(runs)))
