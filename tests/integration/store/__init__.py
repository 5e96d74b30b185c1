"""The store over real files: processes that are killed, files that people edit, full disks."""
