-- The server's time.
--:include queue clock
return cmsgpack.pack(now)
