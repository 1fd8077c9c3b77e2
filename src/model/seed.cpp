// Makes the folder a library until its first real file stands.
