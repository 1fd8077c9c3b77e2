// The one file that compiles the precompiled header shared by every folder that uses ATen.
