"""Descriptors: the tables they stand in, and one module for each kind of file they lead to.

A kind is a module in the list `engine.resources.FILES`. The first of the list that claims a descriptor has it:

    TYPE                            number of fd_types
    claims(descriptor)              whether it is of this kind; cheap, from the facts at hand
    collect(descriptor, id)         the file_entry; `descriptor.refuse` says what cannot be saved
    open(tree, file, step)          opens it again; the slot of its descriptor

and what it needs of these:

    finish(tree, found)             after every table was read: what takes more than one descriptor to tell. `found`
                                    has a (Descriptor, file_entry) for each description of the kind
    write(tree, found)              image files of its own
    check(opener, file)             whether it can be restored here: an Obstacle, or None
    group(file)                     a key: files with the same one are made together
    open_group(tree, files, step)   opens those, a slot or number for each
    given(opener, file)             a key and a function that makes, just before the tree is born, a descriptor for it
                                    to inherit; or None
    settle(task, file, number)      adds a step for when every number of the task is in place
    LANDS                           true: `open` makes one descriptor with its first call, and no other
"""
